"""The tests that detect mutations of each file: the table of mutants.py."""

BODY, KERNELS = "tests/test_interpreted.py", "tests/test_kernels.py"


def loops(names: str) -> list[list[str]]:
    """Tests for a file of loops, which run as plain Python."""
    return [[BODY, KERNELS, "-k", f"(interpreted and ({names})) or (edges and python and ({names}))"]]


COMPILED = ["tests/test_simd.py"]
ULP = ["tests/test_ulp.py", "-k"]
ONE_PROCESS = "hand or decides or hash or travel or follows or objects"
QUICK = ["tests/test_checks.py", "tests/test_mathematics.py"]
FORMULAS = ["tests/test_formulas.py"]
TRAINING = ["tests/test_gradients.py", "tests/test_training.py"]
TESTS: dict[str, list[list[str]]] = {
    "jitnet/kernels/activations.py": [
        FORMULAS,
        *loops("identity or sigmoid or tanh or relu or gelu or silu or softplus or layer or delta or error or mse"),
    ],
    "jitnet/kernels/elementwise.py": [
        FORMULAS, *loops("identity or sigmoid or tanh or relu"),
        [KERNELS, "-k", "equals and (sigmoid or tanh) and not parallel"],
    ],
    "jitnet/kernels/gather.py": loops("gather"),
    "jitnet/kernels/exponential.py": [
        *loops("exp or exponential or sigmoid or tanh or softmax"),
        [KERNELS, "-k", "equals and (exp or sigmoid or tanh or softmax) and polynomial and not parallel"],
        [*ULP, "exp or sigmoid or tanh"],
    ],
    "jitnet/kernels/dense.py": loops("layer or delta"),
    "jitnet/kernels/gradients.py": loops("gradients or descend"),
    "jitnet/kernels/dropout.py": [*loops("dropout"), ["tests/test_layers.py", "-k", "differences or leaves"]],
    "jitnet/kernels/layer_norm.py": [
        *loops("layer_norm or large_mean"), ["tests/test_layers.py", "-k", "layer_norm or differences"],
    ],
    "jitnet/kernels/clip.py": [*loops("squares or shrink"), ["tests/test_schedules.py", "-k", "squares"]],
    "jitnet/interop/parts.py": [["tests/test_interop.py"]],
    "jitnet/interop/torch.py": [["tests/test_interop.py", "-k", "pytorch or state_dict"]],
    "jitnet/interop/onnx.py": [["tests/test_interop.py", "-k", "onnx"]],
    "jitnet/interop/keras.py": [["tests/test_interop.py", "-k", "keras"]],
    "jitnet/interop/safetensors.py": [["tests/test_interop.py", "-k", "safetensors"]],
    "jitnet/interop/scikit_learn.py": [["tests/test_interop.py", "-k", "sklearn or scikit"]],
    "jitnet/sklearn/base.py": [["tests/test_sklearn.py"]],
    "jitnet/sklearn/classifier.py": [["tests/test_sklearn.py"]],
    "jitnet/sklearn/lbfgs.py": [["tests/test_lbfgs.py"]],
    "jitnet/sklearn/regressor.py": [["tests/test_sklearn.py"]],
    "jitnet/sklearn/penalty.py": [["tests/test_sklearn.py"]],
    "jitnet/training/schedules.py": [["tests/test_schedules.py"]],
    "jitnet/training/stopping.py": [["tests/test_schedules.py"], ["tests/test_checks.py"]],
    **{
        f"jitnet/{name}.py": [
            ["tests/test_distributed.py", "tests/test_rank_errors.py"],
            ["tests/test_mpi.py", "-k", "two_processes or line"],
        ]
        for name in (
            "training/blocks", "training/ranks", "distributed/comm", "distributed/one_copy", "distributed/reduction",
            "distributed/tree",
        )
    },
    "jitnet/distributed/launcher.py": [["tests/test_launcher.py"], ["tests/test_mpi.py", "-k", "line or killed"]],
    "jitnet/distributed/witness.py": [["tests/test_launcher.py"], ["tests/test_mpi.py", "-k", "line or killed"]],
    "jitnet/training/stream.py": [["tests/test_stream.py", "tests/test_distributed.py"]],
    **{
        f"jitnet/lab/trace/{name}.py": [
            ["tests/test_trace.py", "tests/test_trace_caches.py", "tests/test_trace_command.py"],
        ]
        for name in ("recording", "caches", "figures", "prediction", "tracing", "table", "plots")
    },
    **{
        f"jitnet/lab/sanitizer/{name}.py": [["tests/test_sanitizer.py"], ["tests/test_endless_kernels.py"]]
        for name in (
            "argument_copies", "arrays", "checking", "instrumented", "loops", "numbers", "places", "races", "recorded",
            "stale", "syntax", "targets",
        )
    },
    "jitnet/lab/sanitizer/arguments.py": [["tests/test_check_command.py"], ["tests/test_blocks.py"]],
    "jitnet/lab/sanitizer/uses.py": [["tests/test_check_command.py"], ["tests/test_guesses.py"]],
    "jitnet/lab/sanitizer/tails.py": [["tests/test_tails.py"]],
    "jitnet/lab/sanitizer/shapes.py": [["tests/test_check_command.py"]],
    "jitnet/lab/sanitizer/coverage.py": [["tests/test_check_command.py"]],
    "jitnet/lab/sanitizer/reasons.py": [["tests/test_reasons.py"]],
    "jitnet/lab/benchmark/judge.py": [
        ["tests/test_judge.py"], ["tests/test_usual_causes.py"], ["tests/test_left_threads.py"],
        ["tests/test_reasons.py", "-k", "judge or cause"],
    ],
    "jitnet/lab/benchmark/guarded.py": [["tests/test_judge.py"], ["tests/test_left_threads.py"]],
    "jitnet/lab/benchmark/shapes.py": [["tests/test_judge.py"]],
    "jitnet/lab/benchmark/patches.py": [["tests/test_patches.py"]],
    "jitnet/lab/benchmark/timed.py": [["tests/test_timed_calls.py"]],
    "jitnet/lab/machine_code/analyzers.py": [["tests/test_cycles.py"]],
    "jitnet/lab/machine_code/cycles.py": [["tests/test_cycles.py"]],
    "jitnet/lab/machine_code/indices.py": [["tests/test_explain_fixes.py"]],
    "jitnet/lab/machine_code/integers.py": [["tests/test_explain_integers.py"]],
    "jitnet/lab/machine_code/measurement.py": [["tests/test_cycles.py"], ["tests/test_measurement.py"]],
    "jitnet/lab/machine_code/reductions.py": [["tests/test_explain_fixes.py"]],
    "jitnet/lab/machine_code/waiting.py": [["tests/test_explain_waiting.py"]],
    "jitnet/lab/machine_code/work.py": [["tests/test_work.py"]],
    "jitnet/lab/problems/__init__.py": [["tests/test_problems.py", "-k", "unknown or ends or tried"]],
    "jitnet/lab/problems/bounds.py": [["tests/test_problems.py"]],
    "jitnet/lab/problems/reading.py": [["tests/test_problems.py"]],
    "jitnet/lab/grade/language.py": [["tests/test_grade.py", "-k", "language or honest or reported"]],
    "jitnet/lab/grade/vocabulary.py": [["tests/test_grade.py", "-k", "language or honest or reported"]],
    "jitnet/lab/grade/assignment.py": [["tests/test_assignments.py"]],
    "jitnet/lab/grade/output.py": [["tests/test_grade.py", "-k", "class or reported or gradescope or shown"]],
    "jitnet/lab/confinement.py": [["tests/test_confinement.py"], ["tests/test_grade.py", "-k", "fence"]],
    "jitnet/cli/cache.py": [["tests/test_cache_command.py"]],
    "jitnet/kernels/weigh.py": [*loops("weigh"), ["tests/test_weights.py"]],
    "jitnet/kernels/losses.py": [FORMULAS, *loops("error or mse or cross_entropy or huber or hinge")],
    "jitnet/kernels/matmul.py": loops("matmul"),
    "jitnet/kernels/softmax.py": [*loops("softmax"), [*ULP, "softmax"]],
    "jitnet/kernels/register_tile.py": loops("matmul or layer or descend"),
    "jitnet/kernels/few_columns.py": [*loops("matmul or layer"), ["tests/test_few_columns.py"]],
    "jitnet/kernels/parts.py": loops("matmul or layer or descend or cut"),
    "jitnet/kernels/optimizers.py": loops("sgd or momentum or nesterov or adam or rmsprop"),
    "jitnet/kernels/numpy_baseline.py": [[KERNELS, "-k", "numpy"]],
    "jitnet/compiler/threads.py": [
        [BODY, "-k", "sgd or matmul or threads"], ["tests/test_training.py", "-k", "threads"],
    ],
    "jitnet/compiler/intrinsics.py": [[BODY, "-k", "matmul or softmax or units"], COMPILED],
    "jitnet/compiler/simd_rows.py": [[BODY, "-k", "matmul"], COMPILED],
    "jitnet/compiler/simd.py": [[BODY, "-k", "matmul or gather"], COMPILED],
    "jitnet/compiler/simd_transpose.py": [[BODY, "-k", "matmul"], COMPILED],
    "jitnet/compiler/memory.py": [["tests/test_simd.py", "tests/test_training.py", "-k", "aligned"]],
    "jitnet/compiler/registry.py": [["tests/test_jit.py", KERNELS, "-k", "registered or registering or common"]],
    "jitnet/compiler/jit.py": [
        ["tests/test_jit.py"], [BODY, "-k", "gather or units"], ["tests/test_cache.py", "-k", "serial or options"],
    ],
    "jitnet/compiler/scalar.py": [["tests/test_custom.py"], ["tests/test_dtypes.py"]],
    "jitnet/compiler/fingerprint.py": [["tests/test_custom.py"], ["tests/test_cache.py", "-k", ONE_PROCESS]],
    "jitnet/compiler/cpu_caches.py": [["tests/test_trace_caches.py"], ["tests/test_cache.py", "-k", "caches"]],
    "jitnet/compiler/environment.py": [["tests/test_concurrency.py", "-k", "setting"]],
    "jitnet/compiler/cache.py": [["tests/test_cache.py", "tests/test_cache_files.py", "-k", f"{ONE_PROCESS} or good"]],
    "jitnet/compiler/cache_folder.py": [
        ["tests/test_cache_folder.py"], ["tests/test_cache.py", "tests/test_cache_files.py", "-k", ONE_PROCESS],
    ],
    "jitnet/compiler/parallel_for.py": [
        ["tests/test_threads_under_load.py", "-k", "wait_policy"], ["tests/test_jit.py", "tests/test_concurrency.py"],
    ],
    "jitnet/compiler/linking.py": [["tests/test_cache.py", "-k", "linked"], COMPILED],
    "jitnet/backend/__init__.py": [["tests/test_checks.py"], ["tests/test_threads_under_load.py"]],
    "jitnet/backend/base.py": [QUICK, ["tests/test_threads_under_load.py", *TRAINING]],
    "jitnet/backend/compiler_errors.py": [
        ["tests/test_compiler_errors.py"], ["tests/test_custom_training.py", "-k", "cannot_compile"],
        ["tests/test_custom.py"],
    ],
    "jitnet/backend/cpu.py": [QUICK, ["tests/test_functions.py", "tests/test_two_processes.py", *TRAINING]],
    "jitnet/custom.py": [["tests/test_custom.py"]],
    "jitnet/calculus.py": [["tests/test_mathematics.py"]],
    "jitnet/training/checkpoint.py": [["tests/test_checkpoints.py"], ["tests/test_damaged_fields.py"]],
    "jitnet/checks.py": [["tests/test_checks.py"], ["tests/test_functions.py", "tests/test_damaged_fields.py"]],
    "jitnet/arrays.py": [["tests/test_checks.py"], ["tests/test_read_only.py", "tests/test_weights.py"]],
    "jitnet/formulas.py": [QUICK, ["tests/test_gradients.py"]],
    "jitnet/functions.py": [["tests/test_functions.py"]],
    "jitnet/losses.py": [QUICK, ["tests/test_gradients.py"]],
    "jitnet/layers/base.py": [QUICK, ["tests/test_storage.py"], ["tests/test_layers.py"]],
    "jitnet/layers/dense.py": [QUICK, ["tests/test_storage.py"], ["tests/test_layers.py"]],
    "jitnet/layers/dropout.py": [["tests/test_layers.py"]],
    "jitnet/layers/layer_norm.py": [["tests/test_layers.py"]],
    "jitnet/network.py": [QUICK, ["tests/test_labels.py", "tests/test_storage.py", *TRAINING]],
    "jitnet/npz.py": [["tests/test_limits.py", "tests/test_storage.py"]],
    "jitnet/optimizers.py": [
        FORMULAS, *loops("sgd or momentum or nesterov or adam or rmsprop"),
        ["tests/test_schedules.py", "-k", "rate_of_its_time"],
        QUICK, ["tests/test_peers.py"], ["tests/test_training.py", "-k", "adam or goes_on"],
    ],
    "jitnet/labels.py": [["tests/test_labels.py", "tests/test_weights.py"]],
    "jitnet/evaluation.py": [QUICK, ["tests/test_labels.py", "tests/test_weights.py", *TRAINING]],
    "jitnet/training/plan.py": [
        QUICK, ["tests/test_stream.py", "tests/test_weights.py", "tests/test_checkpoints.py", "tests/test_resume.py"],
    ],
    "jitnet/display/graph.py": [["tests/test_graph.py"]],
    "jitnet/display/summary.py": [["tests/test_layers.py", "tests/test_notebook.py"]],
    "jitnet/process/disturbance.py": [["tests/test_disturbance.py"], ["tests/test_conclusions.py"]],
    "jitnet/parameters.py": [["tests/test_step.py", "-k", "state or names or travels"], QUICK],
    "jitnet/process/progress.py": [["tests/test_notebook.py", "-k", "progress"], ["tests/test_progress.py"]],
    "jitnet/training/single_step.py": [["tests/test_step.py"]],
    "jitnet/training/fitting.py": [["tests/test_resume.py"], ["tests/test_checks.py", "tests/test_stream.py"]],
    "jitnet/training/initial_state.py": [["tests/test_resume.py"], ["tests/test_checkpoints.py"]],
    "jitnet/training/state.py": [["tests/test_step.py"]],
    "jitnet/step.py": [QUICK, ["tests/test_interruption.py", "tests/test_checkpoints.py", *TRAINING]],
    "jitnet/storage.py": [
        ["tests/test_storage.py", "tests/test_writing.py"], ["tests/test_limits.py", "tests/test_checkpoints.py"],
    ],
    "jitnet/training/loop.py": [
        ["tests/test_resume.py"],
        ["tests/test_interruption.py", "tests/test_checks.py"], ["tests/test_checkpoints.py"],
        ["tests/test_training.py", "-k", "early or seed or display or accuracy or number_of_threads"],
    ],
    "jitnet/process/resources.py": [["tests/test_resources.py"]],
    "jitnet/backend/thread_choice.py": [["tests/test_resources.py"], ["tests/test_threads_under_load.py"]],
    "jitnet/canonical.py": [["tests/test_cells.py", "tests/test_labels.py"]],
    "jitnet/data/digits.py": [["tests/test_data.py"]],
    "jitnet/data/download.py": [["tests/test_pictures.py"]],
    "jitnet/data/files/folder.py": [["tests/test_picture_folders.py"]],
    "jitnet/data/files/idx.py": [["tests/test_pictures.py"]],
    "jitnet/data/files/csv_builder.py": [["tests/test_csv_files.py"]],
    "jitnet/data/missing.py": [["tests/test_csv_files.py"], ["tests/test_columns.py"]],
    "jitnet/data/cells.py": [["tests/test_csv_files.py"], ["tests/test_cells.py"]],
    "jitnet/data/files/content.py": [
        ["tests/test_csv_files.py", "tests/test_foreign_files.py"], ["tests/test_pictures.py"]
    ],
    "jitnet/data/files/csv_arrow.py": [["tests/test_csv_files.py"]],
    "jitnet/data/files/csv_fast.py": [["tests/test_csv_files.py"]],
    "jitnet/data/files/csv_file.py": [["tests/test_csv_files.py", "tests/test_tables.py"]],
    "jitnet/data/files/csv_dialect.py": [
        ["tests/test_csv_files.py", "tests/test_headers.py", "tests/test_foreign_files.py"]
    ],
    "jitnet/data/files/csv_decimal.py": [["tests/test_decimal_signs.py", "tests/test_offered_options.py"]],
    "jitnet/data/files/csv_split.py": [["tests/test_headers.py"]],
    "jitnet/data/files/csv_header.py": [["tests/test_headers.py"], ["tests/test_csv_files.py"]],
    "jitnet/data/files/npz.py": [["tests/test_limits.py", "tests/test_tables.py", "tests/test_columns.py"]],
    "jitnet/data/files/parquet.py": [["tests/test_frames.py", "tests/test_parquet.py"]],
    "jitnet/data/files/sheet.py": [
        ["tests/test_workbooks.py", "tests/test_workbook_numbers.py", "tests/test_workbook_sheets.py"]
    ],
    "jitnet/data/files/sheet_decimal.py": [["tests/test_workbook_numbers.py"]],
    "jitnet/data/files/sheet_xml.py": [["tests/test_workbook_sheets.py"]],
    "jitnet/data/files/workbook.py": [["tests/test_workbooks.py", "tests/test_workbook_sheets.py"]],
    "jitnet/data/files/reading.py": [["tests/test_tables.py", "tests/test_pictures.py"]],
    "jitnet/data/preprocessing/columns.py": [["tests/test_columns.py", "tests/test_data.py"]],
    "jitnet/data/preprocessing/decisions.py": [["tests/test_columns.py", "tests/test_cli_tables.py"]],
    "jitnet/data/preprocessing/recipe.py": [
        ["tests/test_data.py", "tests/test_columns.py", "tests/test_cli_tables.py"],
    ],
    "jitnet/data/notation.py": [["tests/test_notation.py"]],
    "jitnet/data/frames.py": [["tests/test_frames.py", "tests/test_columns.py", "tests/test_cli_tables.py"]],
    "jitnet/data/sentinels.py": [["tests/test_sentinels.py"]],
    "jitnet/data/split.py": [["tests/test_data.py", "tests/test_columns.py"]],
    "jitnet/data/preprocessing/target.py": [
        ["tests/test_data.py", "tests/test_columns.py", "tests/test_cli_tables.py"],
    ],
    "jitnet/data/text_column.py": [["tests/test_text_column.py"], ["tests/test_columns.py"]],
    "jitnet/data/values.py": [
        ["tests/test_cells.py", "tests/test_dates.py", "tests/test_notation.py"], ["tests/test_columns.py"],
    ],
    "jitnet/data/table.py": [["tests/test_tables.py", "tests/test_pictures.py", "tests/test_data.py"]],
    # the tests of these take minutes
    "jitnet/lab/grade/board.py": [["tests/test_grade.py"]],
    "jitnet/lab/grade/parent.py": [["tests/test_judging.py"], ["tests/test_grade.py"]],
    "jitnet/lab/grade/judging.py": [["tests/test_judging.py"], ["tests/test_grade.py"]],
    "jitnet/lab/grade/calls.py": [["tests/test_judging.py"], ["tests/test_grade.py"]],
    "jitnet/lab/grade/submissions.py": [["tests/test_submissions.py"]],
    "jitnet/lab/grade/student.py": [["tests/test_assignments.py"]],
    "jitnet/lab/grade/table.py": [["tests/test_grade_classes.py"]],
}  # fmt: skip
"""File -> stages of tests, quick ones first; the next stage runs if the previous one has passed."""
