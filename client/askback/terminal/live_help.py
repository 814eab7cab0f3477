"""The help of the line console."""

HELP = """\
list [--all]                 what is open, the most urgent first; --all when they do not fit the screen
N, show N [--full]            show a prompt and make it the current one
answer [N]                   decide, and fill in its form field by field
answer N field=value ...     give the values at once
approve [N] [comment]        say yes; a prompt that you have not read is shown first
reject [N] [comment]         say no
approve 1,4,7 [comment]      the same for several, with one decision; reject 1,4,7 too
similar [N]                  show the similar ones together, and decide all of them
claim [N], release [N]       mark it as yours, so that others cannot answer it; release it
skip [N]                     leave it to others and hide it
agree [N] [NAME]             vote like this person, for the same changes and values
withdraw [N]                 withdraw your vote
delegate N NAME [comment]    pass it on to a person, or group:NAME; they answer on your behalf
also N NAME [comment]        the same, and you may answer too
return N [NAME]              give it back; with NAME take back what you delegated
always [N]                   make a rule of an answered one, which asks why; again: delete it
override [N]                 decide as an admin, whatever approval and exclusion say
wait                         wait until something is open
help, quit                   Ctrl-D leaves a question, Ctrl-C ends the console

Keys, each with Enter, about the prompt that you look at:"""
