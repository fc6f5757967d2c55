"""The commands of `maskrcnn`: one module each, with a `run(args)` that returns the exit code, and what they share.

`keras_maskrcnn.cli` imports a command's module after it has checked the arguments: these modules load TensorFlow,
all but `arguments` and `run_folder`.
"""
