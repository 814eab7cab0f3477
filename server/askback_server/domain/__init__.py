"""Pure rules: jobs, prompts, answers, forms; no I/O."""
