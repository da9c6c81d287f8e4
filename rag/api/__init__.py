"""HTTP over the appliance: authentication, routes and error shapes; no logic of its own.

In: requests under `/v1` and at `/mcp`. Out: JSON, SSE and files. What this room does not know: SQL,
indexes, how a question is answered. It calls `rag.appliance` and `rag.store`, and hands every call
the `Access` of its caller. `border` is what every call passes, `routes` has the routes, `bodies`
what they take and answer.

    method path                                     answers with
    POST   /v1/search                               {query, hits, timings_ms}
    POST   /v1/query                                the answer; SSE with `"stream": true`
    POST   /v1/conversations                        a new conversation
    GET    /v1/conversations                        {conversations, next_cursor}
    GET    /v1/conversations/{id}                   one with its turns; ETag, If-None-Match
    PATCH  /v1/conversations/{id}                   renamed; If-Match
    DELETE /v1/conversations/{id}                   204; If-Match
    GET    /v1/conversations/{id}/export            a file, `format` json or markdown
    PUT    /v1/feedback                             what its asker says of an answer
    GET    /v1/feedback                             {feedback, next_cursor}, for admins
    POST   /v1/chat/completions                     the answer as OpenAI's clients read it
    GET    /v1/models, /v1/models/{id}              the names to ask by there
    POST   /mcp                                     an MCP server: search, fetch, ask
    GET    /v1/documents                            {documents, next_cursor, total}
    POST   /v1/documents?collection=                an upload: {document, run}
    GET    /v1/documents/{id}                       one document
    DELETE /v1/documents/{id}                       {document_id, note}
    GET    /v1/documents/{id}/text                  {document_id, start, end, n_chars, text}
    GET    /v1/documents/{id}/passage               {document_id, start, end, before, text, after,
                                                     before_start, after_end, n_chars, page}
    GET    /v1/documents/{id}/pages                 {document_id, has_images, pages}
    GET    /v1/documents/{id}/pages/{n}.png         the page, a span of text highlighted
    GET    /v1/documents/{id}/original              the file as it was ingested, as an attachment
    GET    /v1/collections                          {collections: [{name, n_documents, …, right}]}
    POST   /v1/collections                          {name}; DELETE /v1/collections/{name}?force=
    GET    /v1/ingest-runs                          {runs, next_cursor}; POST: a run
    GET    /v1/ingest-runs/{id}                     a run; /events: SSE; POST /cancel
    GET    /v1/users, /v1/groups                    {users}, {groups}; POST; GET, DELETE …/{name}
    PATCH  /v1/users/{name}                         {disabled}
    PUT    /v1/users/{name}/roles/{role}            the user; DELETE
    PUT    /v1/groups/{name}/members/{user}         the group; DELETE
    GET    /v1/grants, /v1/limits                   {grants}, {limits}; PUT; DELETE …?collection=…
    GET    /v1/settings                             {settings: [{name, value, description}]}
    GET    /v1/failures                             {failures: [{collection, path, error, hint, …}]}
    GET    /v1/status                               {version, model_id, n_documents, indexed, …}
    GET    /v1/audit                                {records, next_cursor}, for auditors
    POST   /v1/login-links                          {url, expires_in_s}: a one-time link to the page
    GET    /login, /login?token=…                   a form; one-time token for a session, then 303
    POST   /login                                   name and password for a session, then 303
    POST   /v1/sign-out                             204; this session has ended
    GET    /v1/me                                   {name, kind, roles, rights, groups, collections}
    POST   /v1/me/password                          204; your other sessions have ended
    GET    /v1/sessions, DELETE /v1/sessions/{id}   where you are signed in; an end to it
    GET    /v1/keys, POST, DELETE /v1/keys/{id}     your API keys; {…, key} where one is made
    GET    /login/oidc                              303 to the company's OpenID provider
    GET    /login/oidc/callback                     from there: a session cookie, and on to the page
    GET    /login/proxy                             the same for whom a trusted proxy names
    GET    /healthz, /readyz                        the process lives; it can answer questions
    GET    /metrics                                 counts and times, for Prometheus
    GET    /docs, /openapi.json                     this, machine-readable

Query parameters: documents `limit` (1-200, 50), `cursor`, `collection` (repeatable), `title`,
`media_type`, `language`, `ingested_after`, `ingested_before`, `source` (a file or folder);
text `start`, `end`; passage `start`, `end`, `context` (characters on either side, 600); page image
`start`, `end` (the span to highlight, character offsets in the document's text), `width` (pixels,
1000). `has_images` says whether `pages/{n}.png` can be drawn; where it is false show the passage.

A document: {id, collection, title, source_uri, name, media_type, language, size_bytes, n_chars,
n_chunks, n_pages, has_images, metadata, warnings, parent_id, ingested_at}. A page: {number, width,
height, char_start, char_end}, points.

`POST /v1/query` takes {question, collection?, stream?, depth?, rewrite?, research?, and history? or
conversation_id?} and
answers {status, question, answer, citations, related, searched, evidence, engine, …}. The stream's
events are `step` (of a research), `searched`, `notice`, `sentence`, and last `final` (the same
object as without streaming) or `error` (a problem). Their shapes: `rag.wire`. Where more questions
wait for the engine than there are places: 429 with Retry-After.

A conversation is its owner's alone: {id, title, created_at, updated_at, n_turns}, and read with
`turns`, each with `withheld` and `reason` where something of its answer may not be read now. A
question with `conversation_id` becomes its next turn (`turn_id`) when its answer is finished; a
caller who leaves before leaves no turn.

`Idempotency-Key` makes a write that is sent twice be done once; see `rag.api.border.idempotency`
for the routes that take it. Lists have opaque cursors (`rag.api.bodies.cursors`).

Every failure is an RFC 9457 problem (`application/problem+json`): {type, title, status, detail,
instance, hint, request_id}, and for 422 also `errors` [{where, message}]. While store, indexes and
model are loading, `/v1` answers 503 with Retry-After.

At `/v1/chat/completions` and `/v1/models` a problem has an `error` as well, as OpenAI's clients
read it, and what is not valid is 400. For what they take see `rag.api.bodies.chat_models`, for the
tools at `/mcp` see `rag.api.routes.mcp_tools`.

`POST /v1/login-links` takes {user?}: a user's link, or the operator's. A user gets 403 from what is
the operator's alone, and finds nothing of what may not be read; counts leave it out as well.

Who may call: see `rag.api.border.auth`. The page calls `$CITADEL_API_URL` with the session cookie
of its visitor and holds no token of its own; browsers sign in at `$CITADEL_PUBLIC_URL`, where that
is set.
"""
