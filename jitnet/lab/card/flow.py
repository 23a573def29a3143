"""The ways through a kernel's PTX: blocks of instructions, branches, and barriers that some threads miss."""

import re


class Flow:
    """The ways through a kernel's PTX: which branches depend on the thread, and what lies on only some of their ways.

    A register depends on the thread if it is made from a thread's index, from something loaded from an address that
    does, or from shared memory, or is written where only some threads come. A barrier there makes the others wait.
    """

    def __init__(self, text: str) -> None:
        self.blocks: list[list[str]] = [[]]
        labels: dict[str, int] = {}
        body = text[text.rindex("\n{") :]
        for line in (line.strip() for line in body.splitlines()):
            label = re.fullmatch(r"(\$L\w+):", line)
            if label or (self.blocks[-1] and re.match(r"(@!?%\w+ )?(bra|ret)", self.blocks[-1][-1])):
                self.blocks.append([])
            if label:
                labels[label[1]] = len(self.blocks) - 1
            elif re.match(r"@|[a-z]+[\d.]", line) or line.startswith(("ret", "bra")):
                self.blocks[-1].append(line)
        self.end = len(self.blocks)
        self.next = [self._successors(b, labels) for b in range(self.end)]
        self.after = self._postdominators()

    def _successors(self, b: int, labels: dict[str, int]) -> list[int]:
        last = self.blocks[b][-1] if self.blocks[b] else ""
        if last.startswith("ret"):
            return [self.end]
        target = re.search(r"bra(?:\.uni)?\s+(\$L\w+)", last)
        if target is None:
            return [b + 1]
        return [labels[target[1]]] + ([b + 1] if last.startswith("@") else [])

    def _postdominators(self) -> list[set[int]]:
        """For each block, those that every way from it to the end leads through, itself included."""
        everything = set(range(self.end + 1))
        after = [set(everything) for _ in range(self.end)] + [{self.end}]
        changed = True
        while changed:
            changed = False
            for b in reversed(range(self.end)):
                new = {b} | set.intersection(*(after[s] for s in self.next[b]))
                changed |= new != after[b]
                after[b] = new
        return after

    def _partly_visited(self, b: int) -> set[int]:
        """The blocks between a branch at the end of `b` and the place where its ways meet again."""
        meeting = self.after[b] - {b}
        seen: set[int] = set()
        todo = list(self.next[b])
        while todo:
            block = todo.pop()
            if block not in meeting and block not in seen:
                seen.add(block)
                todo += self.next[block]
        return seen

    def barriers_that_some_threads_miss(self) -> list[str]:
        depends: set[str] = set()
        partly: set[int] = set()
        size = -1
        while size != len(depends) + len(partly):
            size = len(depends) + len(partly)
            for b, block in enumerate(self.blocks):
                for line in block:
                    written, read = _registers(line)
                    if b in partly or depends & read or re.search(r"%tid|%laneid|ld\.shared|atom", line):
                        depends |= written
                last = block[-1] if block else ""
                if last.startswith("@") and depends & set(re.findall(r"%\w+", last)):
                    partly |= self._partly_visited(b)
        return [line for b in sorted(partly) for line in self.blocks[b] if line.startswith(("bar.", "barrier"))]


def _registers(line: str) -> tuple[set[str], set[str]]:
    """What an instruction writes, and what it reads."""
    line = re.sub(r"^@!?%\w+\s+", "", line)
    words = line.split(None, 1)
    if len(words) < 2 or re.match(r"st\.|bra|bar|ret|red", words[0]):
        return set(), set(re.findall(r"%\w+", line))
    target = re.match(r"\{[^}]*\}|[^,]*", words[1])
    written = set(re.findall(r"%\w+", target[0])) if target else set()
    return written, set(re.findall(r"%\w+", words[1][len(target[0]) if target else 0 :]))
