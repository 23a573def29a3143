"""Training, from the options of `fit` to the last epoch.

`plan` validates the options, `loop` runs mini-batches and epochs, and `state` holds the state of a training between
epochs. `history` records its course, and `checkpoint` saves it to disk. `schedules` change the learning rate, and
`stopping` ends a run early. `stream` takes batches from an iterator, and `single_step` makes one step for users' own
loops. (The recorded step that backends run is in jitnet/step.py.)
"""
