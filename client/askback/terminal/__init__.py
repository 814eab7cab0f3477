"""People at a terminal: prompts as text, forms asked field by field, a line-based live console.

Input and output:

    writer           writes lines, with colours or plain
    line_reader      reads lines of a script from a pipe, without a thread
    keyboard         reads what a person types, with prompt_toolkit
    terminal         asks a person or a script: questions, notices, the editor
    short_questions  questions with few answers, such as yes or no

Forms:

    fields           a form as a tree of entries, from questions or a JSON Schema (`schema_entries`)
    conditions       finds the fields that the values of others show
    value_parser     parses the text typed for an entry; `choices` and `formats` help
    value_text       formats a value for people; `hints` says what may be typed
    field_question   asks for one value
    items_editor     asks for the items of a list
    form_filler      asks for a whole form; `value_paths` finds the place of a value
    assignments      parses FIELD=VALUE words

Prompts:

    words            times and deadlines in words
    prompt_text      a prompt as text; `pages` shows it page by page
    prompt_table     prompts as a table
    draft            an answer before it is sent, and the input saved for the next try
    wizard           asks for a decision, a form and a comment until the server accepts the answer
    prompt_dialogue  a dialogue that is aborted when its prompt ends or changes
    prompt_work      shows one prompt and lets a person work on it
    prompt_list      the prompts of a live console
    prompt_answerer  answers them
    live             the live console: commands, and notices about what arrives

Text from others is cleaned (`askback._text.text`) in exactly one place: where it is written (`writer`).
"""
