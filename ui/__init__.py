"""The web page: ask, read the answer, check each sentence against the page that it was taken from.

In: what a visitor types and clicks. Out: HTML in which every text that comes from a document is
escaped. What this room does not know: how anything is stored, searched or answered, and who may
read what. It talks to the API over HTTP as the visitor (`rag.client`, with the visitor's own
session cookie), so that every decision about access is the API's; nothing else of the product is
imported here.

    start.py      Streamlit without its calls to the internet
    app.py        entry point: settles who is there, then shows one of the two views
    door.py       who comes in, who is sent to sign in, signing out
    session.py    what the page remembers of one visit, and the visit's API client
    turn.py       a question and its answer, as it arrives or as it was kept
    kept.py       a kept answer in its sentences
    receiving.py  an answer received beside the page's runs, which end at every click
    sidebar.py    who is signed in, and this person's conversations
    account.py    password and sessions
    asking.py     the view "Ask": question, streamed answer, the conversation's other questions
    rating.py     what a reader thinks of an answer
    documents.py  the view "Documents": what was ingested, and what was not and why
    feeding.py    documents brought in and taken out, for who manages a collection
    viewer.py     a passage in its document, beside the answer
    render.py     pure functions from records to HTML
    notes.py      the same for people, conversations and files that were sent
    written.py    what an engine writes as HTML: paragraphs, lists, tables, headings, code
    passage.py    a passage with its surroundings as HTML
    style.css, .streamlit/config.toml, mark.svg   the looks
"""
