"""One page about one model: what it is, how good it is and where it fails, as a single HTML file for people.

Nothing is measured again that the evidence has. What a page lacks, it says, and why: `subject` finds what there is of a
model, `predicting` and `latencies` add what rows show, `sections` make values for the templates, `charts` draw as SVG,
and `wording` speaks English and Chinese. All that comes from data is escaped, and never translated.
"""
