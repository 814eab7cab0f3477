"""The live console: receives prompts and sends answers on one stream."""
