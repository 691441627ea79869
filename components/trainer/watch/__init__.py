"""The training watch: rules that look at a training as a debugger would, and what they found."""
