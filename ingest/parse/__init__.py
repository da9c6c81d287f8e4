"""A file in, its elements in reading order out, whatever the file turns out to be.

`pool` hands jobs to `worker` processes that `sandbox` has shut in; a worker asks `formats` what the
file is by its content and `read` turns it into `model.Parsed`. What a file is not allowed to do is
decided here: open a connection, expand without bound, run longer than its time, or take another
file down with it. This room knows nothing of chunks, embeddings or the store.

PDF and images are read through pypdfium2 and tesseract. RTF and reStructuredText go through pandoc
and `unstructured`. The other formats go to the libraries that `unstructured` wraps (python-docx,
python-pptx, openpyxl, xlrd, lxml, Markdown, python-oxmsg, the standard library's `email`), because
with them nothing is lost: on the same pages as HTML it dropped 520 of 61,137 words of one e-book,
merged cells and the end of a split title; it names every text box of a slide a title, and does not
see content controls, tracked insertions or hidden text of Word documents. It also costs 124 MiB and
one to four seconds in every worker that needs it. ODT and EPUB become HTML by pandoc, DOC and PPT
become DOCX and PPTX by LibreOffice, and then go the same way as those.
"""
