# SPDX-License-Identifier: BSD-3-Clause
"""A pickle machine that can only build plain containers, and calls nothing but what its caller hands over by name.

``pickle.Unpickler`` with a guarded ``find_class`` still sets attributes on whatever a stream names and allocates what a
stream claims. This machine knows the few operations that files of tensors consist of; any other ends the reading.
"""

import io
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any

MAX_OPERATIONS = 1_000_000  # some forty for a tensor: more than any network has; bounds time and memory
MAX_ARGUMENTS = 16  # of one call; the functions of tensors take fewer


class Refused(ValueError):
    """The stream wants what is not allowed, or is damaged. The message is one line without the file's name."""


class Name:
    """A global that the stream has named; only REDUCE and the storage type of a persistent id can use it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_MARK = object()
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_MAKERS: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_VALUES = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def load(
    file: io.BytesIO,
    names: Collection[str],
    functions: Mapping[str, Callable[..., Any]],
    persistent_load: Callable[[Any], Any],
) -> Any:
    """Read one pickle from a file held in memory, up to its end.

    Parameters
    ----------
    file : io.BytesIO
        Read from its position; left behind the pickle.
    names : collection of str
        The globals ("module.name") that may be named.
    functions : dict of str to callable
        Those of them that may be called.
    persistent_load : callable
        From a persistent id (any value) to what stands for it.

    Raises
    ------
    Refused
    """
    machine = _Machine(names, functions, persistent_load)
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if count == MAX_OPERATIONS:
                raise Refused(f"damaged: a pickle of more than {MAX_OPERATIONS} operations")
            if operation.name == "STOP":
                return machine.pop()
            machine.run(operation.name, argument)
    except Refused:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError, Warning) as error:
        # pickletools raises many kinds of errors on damaged streams, with texts of several lines
        raise Refused(f"damaged: {type(error).__name__} in its pickle") from None
    raise Refused("damaged: a pickle without an end")


def shown(text: str) -> str:
    """A name from a file as one short printable line."""
    return ascii(text[:80])[1:-1]


class _Machine:
    def __init__(
        self,
        names: Collection[str],
        functions: Mapping[str, Callable[..., Any]],
        persistent_load: Callable[[Any], Any],
    ) -> None:
        self.names, self.functions, self.persistent_load = names, functions, persistent_load
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise Refused("damaged: a mark where a value belongs")
        return value

    def pop_to_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                values = self.stack[index + 1 :]
                del self.stack[index:]
                return values
        raise Refused("damaged: a mark is missing")

    def run(self, name: str, argument: Any) -> None:
        push = self.stack.append
        if name in _VALUES:
            push(argument)
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name in _MAKERS:
            push(_MAKERS[name]())
        elif name in _TUPLES:
            push(tuple(reversed([self.pop() for _ in range(_TUPLES[name])])))
        elif name == "TUPLE":
            push(tuple(self.pop_to_mark()))
        elif name == "MARK":
            push(_MARK)
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.top()
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.top()
        elif name in ("BINGET", "LONG_BINGET"):
            push(self.memo[argument])
        elif name in ("APPEND", "APPENDS"):
            values = [self.pop()] if name == "APPEND" else self.pop_to_mark()
            self.top(list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = [self.pop(), self.pop()][::-1] if name == "SETITEM" else self.pop_to_mark()
            self.set_items(values)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self.name(argument)
        elif name == "REDUCE":
            self.call()
        elif name == "BUILD":  # a state dictionary carries version numbers as attributes: read over
            self.pop()
            self.top(OrderedDict)
        elif name == "BINPERSID":
            push(self.persistent_load(self.pop()))
        elif name not in ("PROTO", "FRAME"):
            raise Refused(f"its pickle wants {name}, which files of tensors do not; nothing was executed")

    def top(self, kind: type = object) -> Any:
        value = self.stack[-1]
        if value is _MARK or not isinstance(value, kind):
            raise Refused(f"its pickle changes something that is no {kind.__name__}; nothing was executed")
        return value

    def set_items(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise Refused("damaged: a key without a value")
        into = self.top(dict)
        for key, value in zip(values[::2], values[1::2]):
            if not isinstance(key, str | int):
                raise Refused("a dictionary whose keys are neither text nor whole numbers; save a state_dict()")
            into[key] = value

    def name(self, argument: str | None) -> None:
        if argument is None:  # STACK_GLOBAL
            name, module = self.pop(), self.pop()
            if not (isinstance(name, str) and isinstance(module, str)):
                raise Refused("damaged: a global whose name is no text")
            text = f"{module}.{name}"
        else:
            text = argument.replace(" ", ".", 1)
        if text not in self.names:
            raise Refused(
                f"it wants {shown(text)}; only tensors are read, nothing was executed: save the model's state_dict()"
            )
        self.stack.append(Name(text))

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or function.text not in self.functions or not isinstance(arguments, tuple):
            raise Refused("its pickle calls something that is no function of tensors; nothing was executed")
        if len(arguments) > MAX_ARGUMENTS:  # those of one call are read again by the next: time would have no bound
            raise Refused(f"its pickle calls a function with {len(arguments)} arguments; nothing was executed")
        self.stack.append(self.functions[function.text](*arguments))
