"""People at a terminal: prompts as text, forms asked field by field, a live console of lines.

    words       times and deadlines in words
    paper       where lines go: with colours, or plain
    lines       lines typed by a person or a script, without a thread
    fields      a form as fields, from questions or from a JSON Schema
    reading     what was typed as a field's value
    wizard      a form, a decision and a comment asked until the answer is taken
    sheet       a prompt as text
    board       the prompts of a live console, numbered for good, with tombstones
    live        the live console: commands, and what arrives in between

What others wrote is cleaned (`askback.text`) where it is written (`paper`), and nowhere before.
"""
