"""The web page: ask, read the answer, check each sentence against the page that it was taken from.

In: what a visitor types and clicks. Out: HTML in which every text that comes from a document is
escaped. What this room does not know: how anything is stored, searched or answered, and who may
read what. It talks to the API over HTTP as the visitor (`rag.client`, with the visitor's own
session cookie), so that every decision about access is the API's; nothing else of the product is
imported here.

    start.py      Streamlit without its calls to the internet
    app.py        entry point: settles who is there, then shows one of the two views
    session.py    what the page remembers of one visit, and the visit's API client
    receiving.py  an answer received beside the page's runs, which end at every click
    asking.py     the view "Ask": question, streamed answer, earlier questions
    documents.py  the view "Documents": what was ingested, and what was not and why
    viewer.py     a passage in its document, beside the answer
    render.py     pure functions from records to HTML
    written.py    what an engine writes as HTML: paragraphs, lists, tables, headings, code
    passage.py    a passage with its surroundings as HTML
    style.css, .streamlit/config.toml, mark.svg   the looks
"""
