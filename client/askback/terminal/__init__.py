"""People at a terminal: prompts as text, forms asked field by field, a live console of lines.

    words       times and deadlines in words
    paper       where lines go: with colours, or plain
    lines       lines written by a script, without a thread
    keyboard    what a person types, by prompt_toolkit
    terminal    a person or a script: questions, notices, the editor
    asking      questions with few answers
    fields      a form as fields, from questions or from a JSON Schema
    reading     what was typed as a field's value
    draft       an answer before it is sent, and what was typed for it
    wizard      a form, a decision and a comment asked until the answer is taken
    sheet       a prompt as text
    pages       a prompt on the screen, and what of it was not shown
    following   one prompt while a person works on it
    board       the prompts of a live console, numbered for good
    live        the live console: commands, and what arrives in between

What others wrote is cleaned (`askback._text.text`) where it is written (`paper`), and nowhere before.
"""
