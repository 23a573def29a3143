"""Training, from the options of `fit` to the last epoch.

`fitting` has `fit`, `plan` validates its options, `initial_state` makes the state that a training begins with, and
`loop` runs its epochs. `state` is what one epoch hands to the next, and `checkpoint` saves it to disk. `history`
records the losses and times, `schedules` change the learning rate, and `stopping` ends a training early. `stream` takes
batches from an iterator, and `single_step` makes one step for users' own loops. `blocks` and `ranks` distribute the
work over several processes. (The recorded step that backends run is in jitnet/step.py.)
"""
