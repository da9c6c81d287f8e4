"""The sign-in form: one page without a script, and without anything from elsewhere."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from string import Template

from starlette.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #f4f5f7; --card: #fff; --line: #8a94a3;
  --act: #1f5fbf; --bad: #a11c1c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14181e; --card: #1d232b;
  --line: #6d7887; --act: #7fb0ff; --bad: #ff9c9c; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
main { width: 100%; max-width: 24rem; padding: 2rem; border-radius: .75rem;
  background: var(--card); }
h1 { margin: 0 0 1.5rem; font-size: 1.5rem; line-height: 1.2; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { width: 100%; min-height: 2.75rem; padding: .5rem .75rem; font: inherit; color: inherit;
  border: 1px solid var(--line); border-radius: .4rem; background: transparent; }
button, .other { display: block; width: 100%; min-height: 2.75rem; margin-top: 1.5rem;
  padding: .6rem; font: inherit; font-weight: 600; text-align: center; text-decoration: none;
  cursor: pointer; border: 2px solid var(--act); border-radius: .4rem; }
button { color: var(--card); background: var(--act); }
.other { margin-top: .75rem; color: var(--act); }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
[role=alert] { margin: 0; padding: .75rem; border-left: 4px solid var(--bad); color: var(--bad); }
.hint { margin: 1.5rem 0 0; font-size: .9rem; }
"""
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in to Citadel</title>
<style>$style</style>
</head>
<body>
<main>
<h1>Sign in to Citadel</h1>
"""
PAGE = Template(
    HEAD
    + """$alert<form method="post" action="/login">
<label for="name">Name</label>
<input id="name" name="name" value="$name" autocomplete="username" autocapitalize="none"
 spellcheck="false" maxlength="100" required$describe>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password"
 maxlength="1000" required$describe>
<button type="submit">Sign in</button>
</form>
$others<p class="hint">No password? Ask your administrator for one, or for a login link.</p>
</main>
</body>
</html>
"""
)
LINK_PAGE = Template(
    HEAD
    + """<p>This link signs you in as <strong>$name</strong>.$now
Go on only if it was meant for you.</p>
<form method="post" action="/login">
<input type="hidden" name="token" value="$token">
<button type="submit">Sign in as $name</button>
</form>
</main>
</body>
</html>
"""
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def sign_in_form(
    page_url: str,
    *,
    options: Sequence[tuple[str, str]] = (),
    status: int = 200,
    name: str = "",
    message: str = "",
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """The form, with what was wrong; `options` are other ways to sign in, as (label, address)."""
    alert = f'<p role="alert" id="wrong">{escape(message)}</p>\n' if message else ""
    body = PAGE.substitute(
        style=STYLE,
        alert=alert,
        name=escape(name),
        describe=' aria-describedby="wrong"' if message else "",
        others="".join(
            f'<a class="other" href="{escape(address)}">{escape(label)}</a>\n'
            for label, address in options
        ),
    )
    return HTMLResponse(body, status, {**_headers(page_url), **(headers or {})})


def link_page(page_url: str, token: str, name: str, now: str) -> HTMLResponse:
    """The button that a login link for `name` needs; `now` is who is signed in, or ""."""
    ends = f" It ends the session of <strong>{escape(now)}</strong>." if now else ""
    body = LINK_PAGE.substitute(style=STYLE, token=escape(token), name=escape(name), now=ends)
    return HTMLResponse(body, headers=_headers(page_url))


def _headers(page_url: str) -> dict[str, str]:
    # Browsers hold where a form leads to after a redirect against form-action, too. Without a
    # referrer of its own they would say that the form's origin is "null".
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
            f"form-action 'self' {page_url}; base-uri 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
