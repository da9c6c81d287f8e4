"""From a text with light markup to the formats that a company's files come in.

In: the content files. Out: bytes of PDF, DOCX, PPTX, XLSX, HTML, ODT, RTF and mail, the same bytes
for the same content. Knows nothing of Citadel.
"""
