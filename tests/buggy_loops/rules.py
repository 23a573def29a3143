"""The rules of Numba that the kernels with a bug break, and the table of them in the guide."""

RULES = {
    "any order": "Iterations of `prange` run at the same time, in any order: none may read what another writes.",
    "no atomics": "`a[i] += x` reads, adds and writes; only variables are reduced.",
    "one writer": "Two iterations may not write one element, even without reading it: the last one wins, by chance.",
    "allocated outside": "An array made before the loop is shared, in closures too; one made in the body is private.",
    "thread numbers": "Iterations on the same thread follow each other: a row for each `get_thread_id()` is safe.",
    "views": "Slices, transposes and reshaped arrays are the memory of their base; so are arguments given twice.",
    "helpers": "A function that is called in the body, compiled or given as an argument, belongs to the iteration.",
    "records": "Arrays in tuples, and the fields of an array of records, are shared like other arrays.",
    "reductions": "A variable that is only changed by `+=` and the like is a reduction: complete only after the loop.",
    "recurrences": "A variable that is changed in another way has no defined value at the beginning of an iteration.",
    "private": "A variable that the body assigns is private: after the loop, its value is undefined.",
    "array reductions": "Arrays are reduced by `a += b`; `a = a + b` makes a new one, which is lost.",
    "containers": "Lists and dicts are not made for several threads.",
    "steps": "`prange` takes steps of 1 only.",
    "array expressions": "`parallel=True` turns assignments of arrays into loops, which do not copy what overlaps.",
    "number of threads": "How many threads there are differs from machine to machine; results should not.",
    "bounds": "No index is checked; an index outside reads or overwrites other memory.",
    "negative indices": "A negative index counts from the end, as in Python, also one that was computed.",
    "integers": "Integers have a fixed size, and wrap around.",
    "empty": "`np.empty` holds anything; what nothing writes stays so.",
    "arguments": "Arrays are not copied for a call: what a kernel writes, its caller sees; `out = ...` writes nothing.",
    "globals": "Global arrays are constants of the compiled code.",
    "float64": "Numbers of Python are float64, and so is what is computed with them, or with int64.",
}


def table(pairs):
    """Lines of Markdown: each rule, and the kernels that break it."""
    lines = ["| rule of Numba | kernels with the bug |", "|---|---|"]
    for name, sentence in RULES.items():
        kernels = [f"`{kernel}`" for kernel, pair in pairs.items() if pair.rule == name]
        lines.append(f"| {sentence} | {', '.join(kernels)} |")
    return lines
