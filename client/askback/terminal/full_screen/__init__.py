"""The full-screen console, `askback tui`: the queue, a prompt and its form on one screen, with Textual.

    app            the screen: keys, selection, connection
    live_queue     stores what the server sends; what happened while the connection was lost
    queue_view     the list of prompts; `queue_text` draws its rows
    prompt_view    the selected prompt, and which part of it was on the screen
    question_pane  questions of the wizard and the lines before them
    pane_terminal  the pane as a terminal for the dialogues of the line console
    dead_time      ignores keys that were pressed before the person could see what they act on

The wizard, the form and the keys are those of the line console. Textual tells screen readers little: the line
console (`askback console --plain`) and the web page are for them.
"""
