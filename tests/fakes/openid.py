"""A real OpenID provider in a process of its own, made of Authlib's server side.

    with openid_provider() as provider:
        settings = Settings(oidc_issuer=provider.issuer, oidc_client_id=CLIENT_ID, …)
        provider.person(sub="7", preferred_username="ann", groups=["hr"])

The authorisation code flow with PKCE, which it insists on, a token endpoint that wants the client's
secret, a discovery document and the keys that sign its RS256 tokens. Whoever comes is the `person`
named last, without a form to fill in. `behave` makes it misbehave until the next `person`:

    claims      replaces claims of the token; one that is None is left out
    signed_by   "stranger": by a key that it does not publish, under the id of one that it does;
                "none": not at all; "secret": HS256 with the client's secret
    denied      the person says no
    form        the person has to click a link, as on a real provider's page
    endpoints   replaces endpoints in the discovery document

`rotate()` gives it another key, and `asked()` says how often each address was asked for.
"""

import os
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import uvicorn
from authlib.oauth2 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Payload, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, UserInfo
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "citadel", "the-client's-secret-of-the-tests"
CALLBACK = "/login/oidc/callback"
START_TIMEOUT_S = 30
Json = dict[str, Any]


@dataclass(frozen=True)
class Provider:
    """A provider that is running."""

    issuer: str
    client: httpx.Client

    def person(self, **claims: Any) -> None:
        """Let this person be who signs in, and all be well."""
        self._post("/tests/person", claims)

    def behave(self, **how: Any) -> None:
        """Misbehave."""
        self._post("/tests/behave", how)

    def rotate(self) -> None:
        """Sign with a new key."""
        self._post("/tests/rotate", {})

    def asked(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(self.client.get("/tests/asked").json())

    def _post(self, path: str, body: Json) -> None:
        self.client.post(path, json=body).raise_for_status()


@contextmanager
def openid_provider() -> Iterator[Provider]:
    """A provider on a free port, ended at the end."""
    environment = os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1"}
    command = [sys.executable, "-m", "tests.fakes.openid"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            issuer = f"http://localhost:{process.stdout.readline().strip()}"
            with httpx.Client(base_url=issuer, trust_env=False, verify=False) as client:
                _wait_for(client)
                yield Provider(issuer, client)
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_S)


def _wait_for(client: httpx.Client) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            client.get("/tests/asked").raise_for_status()
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


# What runs in the process


class State:
    """What the provider knows and how it behaves."""

    def __init__(self) -> None:
        self.issuer = ""
        self.keys = [_new_key(1)]
        self.person: Json = {"sub": "0"}
        self.how: Json = {}
        self.codes: dict[str, Code] = {}
        self.asked: Counter[str] = Counter()

    def claims(self, claims: Json) -> Json:
        """Claims as they leave."""
        changed = claims | self.how.get("claims", {})
        return {name: value for name, value in changed.items() if value is not None}


def _new_key(number: int) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": f"key-{number}", "use": "sig", "alg": "RS256"})


state = State()


class Citadel(ClientMixin):
    """The one client that is registered."""

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        address = urlsplit(redirect_uri)
        return address.hostname == "127.0.0.1" and address.path == CALLBACK

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code:
    """An authorisation code that was given out."""

    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    person: Json

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class CodeGrant(grants.AuthorizationCodeGrant):
    """Codes work once."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        data = request.payload.data
        assert data["code_challenge_method"] == "S256"
        state.codes[code] = Code(
            data["redirect_uri"],
            request.scope,
            data.get("nonce"),
            data["code_challenge"],
            data["code_challenge_method"],
            state.person,
        )

    def query_authorization_code(self, code: str, client: Citadel) -> Code | None:
        return state.codes.pop(code, None)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """It has gone already."""

    def authenticate_user(self, authorization_code: Code) -> Json:
        return authorization_code.person


class Tokens(OpenIDCode):
    """ID tokens, good and bad."""

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return any(code.nonce == nonce for code in state.codes.values())

    def generate_user_info(self, user: Json, scope: str) -> UserInfo:
        return UserInfo(user)

    def get_client_claims(self, client: Citadel) -> Json:
        return {"iss": state.issuer, "aud": CLIENT_ID}

    def encode_id_token(self, token: Json, request: OAuth2Request) -> str:
        claims = self.get_compatible_claims(request)
        claims |= self.get_authorization_code_claims(request.authorization_code)
        claims = state.claims(claims | request.user)
        header = {"alg": "RS256", "kid": state.keys[-1].kid}
        signed_by = state.how.get("signed_by")
        if signed_by == "none":
            return jwt.encode({"alg": "none"}, claims, OctKey.generate_key(), ["none"])
        if signed_by == "secret":
            key = OctKey.import_key(CLIENT_SECRET)
            return jwt.encode(header | {"alg": "HS256"}, claims, key, ["HS256"])
        key = _new_key(0) if signed_by == "stranger" else state.keys[-1]
        return jwt.encode(header, claims, key, ["RS256"])


class Payload(OAuth2Payload):
    """The parameters of a request."""

    def __init__(self, parameters: dict[str, list[str]]) -> None:
        self._parameters = parameters

    @property
    def data(self) -> dict[str, str]:
        return {name: values[0] for name, values in self._parameters.items()}

    @property
    def datalist(self) -> dict[str, list[str]]:
        return defaultdict(list, self._parameters)


class Asked(OAuth2Request):
    """A request as Authlib wants it."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request.method, str(request.url), headers=dict(request.headers))
        self.headers = request.headers
        self.payload = Payload(parse_qs(request.url.query) | parse_qs(body.decode()))

    @property
    def args(self) -> dict[str, str]:
        return self.payload.data

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


class Authority(AuthorizationServer):
    """Authlib's server over Starlette."""

    def query_client(self, client_id: str) -> Citadel | None:
        return Citadel() if client_id == CLIENT_ID else None

    def save_token(self, token: Json, request: OAuth2Request) -> None:
        """Nobody asks for it again."""

    def create_oauth2_request(self, request: Asked) -> Asked:
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Response:
        if isinstance(body, dict):
            return JSONResponse(body, status, dict(headers))
        return Response(body, status, dict(headers))


def _token(grant_type: str, client: Citadel, **_: Any) -> Json:
    return {"token_type": "Bearer", "access_token": os.urandom(16).hex(), "scope": "openid"}


authority = Authority()
authority.register_grant(CodeGrant, [CodeChallenge(required=True), Tokens(require_nonce=True)])
authority.register_token_generator("default", _token)


async def discovery(request: Request) -> Response:
    """The discovery document."""
    state.asked[request.url.path] += 1
    at = state.issuer
    document = {
        "issuer": at,
        "authorization_endpoint": f"{at}/authorize",
        "token_endpoint": f"{at}/token",
        "jwks_uri": f"{at}/keys",
    }
    return JSONResponse(document | state.how.get("endpoints", {}))


async def keys(request: Request) -> Response:
    """The public keys."""
    state.asked[request.url.path] += 1
    return JSONResponse(KeySet(list(state.keys)).as_dict(private=False))


async def authorize(request: Request) -> Response:
    """Where the browser is sent."""
    asked = Asked(request, b"")
    grant = authority.get_consent_grant(asked, state.person)
    who = None if state.how.get("denied") else state.person
    response = authority.create_authorization_response(asked, who, grant)
    if state.how.get("form"):
        return HTMLResponse(f'<a href="{response.headers["location"]}">I am</a>')
    return response


async def token(request: Request) -> Response:
    """Where the code is exchanged."""
    state.asked[request.url.path] += 1
    return authority.create_token_response(Asked(request, await request.body()))


async def tests(request: Request) -> Response:
    """What the tests say and ask."""
    match request.path_params["what"]:
        case "person":
            state.person, state.how = await request.json(), {}
        case "behave":
            state.how = await request.json()
        case "rotate":
            number = int(state.keys[-1].kid.removeprefix("key-"))
            state.keys = [_new_key(number + 1)]
    return JSONResponse(state.asked)


app = Starlette(
    routes=[
        Route("/.well-known/openid-configuration", discovery),
        Route("/keys", keys),
        Route("/authorize", authorize),
        Route("/token", token, methods=["POST"]),
        Route("/tests/{what}", tests, methods=["GET", "POST"]),
    ]
)


def main() -> None:
    """Serve on a free port, and print it."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        state.issuer = f"http://localhost:{port}"
        print(port, flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[bound])


if __name__ == "__main__":
    main()
