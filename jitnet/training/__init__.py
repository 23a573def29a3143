"""Training, from the options of `fit` to the last epoch.

`plan` validates the options, `loop` runs mini-batches and epochs, and `state` is what a training has reached. `history`
is its course, `checkpoint` its copy on disk. `schedules` change the learning rate and `stopping` ends a run early.
`stream` takes batches from an iterator, and `single_step` is a step for loops of one's own. (One recorded step, which
backends run, is in jitnet/step.py.)
"""
