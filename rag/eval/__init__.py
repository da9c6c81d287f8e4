"""Questions with known answers in, figures out: what this appliance's search and answers are worth.

A set (a folder in the BEIR layout, or files with questions) goes through the product's own ingest
into a data directory that is gone afterwards; a site's own questions go to the site's own
appliance. What comes out is a report: a value for each question and metric, their means with
intervals, and what changed against an earlier report. This room does not know how anything is
found or written: it calls what a user calls, and counts.
"""
