"""In the sandbox: one process that has torch and a chapter's names, and a fork of it for each answer.

It is started as ``python -I inside.py CONTROL COURSE CHAPTER``; CONTROL is a socket over which a socket for each answer
comes. What an answer does to its own process, this file's classes included, changes what it says of itself, and nothing
else: the judge is elsewhere.
"""

import builtins
import contextlib
import io
import os
import signal
import socket
import sys

LIMITS = {"NPROC": 64, "FSIZE": 64 * 2**20, "DATA": 3 * 2**30, "CORE": 0}


def main(control: int, course: str, chapter: str) -> None:
    import ctypes
    import resource

    sys.path.insert(0, course)
    if os.getpid() == 1:
        if os.geteuid() == 0:  # a limit of processes does not bind root
            os.setgroups([])
            os.setgid(int(os.environ["AS"]))
            os.setuid(int(os.environ["AS"]))
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # not dumpable: its forks cannot look into it
        for name, most in LIMITS.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    import torch

    from course_utils.desk.names import names_for

    torch.set_num_threads(1)
    names_for(chapter)  # so that each fork has it loaded
    with socket.socket(fileno=control) as door:
        door.sendall(b"r")
        while True:
            order, fds, _, _ = socket.recv_fds(door, 1, 1)
            if order != b"f":
                return
            pid = os.fork()
            if pid == 0:
                door.close()
                os.setsid()
                one_answer(fds[0], chapter)
            os.close(fds[0])
            if door.recv(1) != b"k":
                return
            end(pid)
            door.sendall(b"k")


def end(pid: int) -> None:
    """End an answer's process, and what it started."""
    while True:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpid() == 1:
                os.kill(-1, signal.SIGKILL)  # all there are in this sandbox
            else:
                os.killpg(pid, signal.SIGKILL)
        try:
            if os.waitpid(-1, 0)[0] == pid and os.getpid() != 1:
                return
        except ChildProcessError:
            return


def one_answer(fd: int, chapter: str) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    try:
        Answer(socket.socket(fileno=fd), chapter).serve()
    finally:
        os._exit(0)


class Printed(io.StringIO):
    """Keeps the beginning of what is printed."""

    def write(self, text):
        return super().write(text[: max(0, 20_000 - self.tell())]) and len(text)


class Answer:
    """Runs what the judge asks for, and sends back values."""

    def __init__(self, connection, chapter: str):
        from course_utils.desk import names, wire

        self.wire, self.names_for = wire, names.names_for
        self.connection, self.chapter = connection, chapter
        self.objects, self.graphs, self.names, self.tensors = [], [], {}, []

    def serve(self, until: str = ""):
        while True:
            order, blobs = self.wire.receive(self.connection)
            op, *rest = self._load(order, blobs)
            if op == until or op == "raise":
                return op, rest
            printed = Printed()
            tensors = self.tensors
            try:
                with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(Printed()):
                    self._reply("done", getattr(self, f"op_{op}")(*rest), tensors, rest, printed)
            except BaseException as error:
                kind = next((k.__name__ for k in type(error).__mro__ if getattr(builtins, k.__name__, None) is k), "")
                told = {"kind": "error", "type": kind, "name": type(error).__name__, "text": _text(error)}
                self.wire.send(self.connection, told | {"printed": printed.getvalue()})

    def op_run(self, source: str):
        """Run an answer where a chapter's names are; everything before it is forgotten."""
        self.names = self.names_for(self.chapter)
        exec(compile(source, "<answer>", "exec"), self.names)

    def op_value(self, name: str):
        if name not in self.names:
            raise NameError(f"name {name!r} is not defined")
        return self.names[name]

    def op_exec(self, source: str, names: dict):
        exec(source, names)
        return {name: value for name, value in names.items() if name != "__builtins__"}

    def op_call(self, function, args, kwargs):
        return function(*args, **kwargs)

    def op_get(self, thing, name):
        return getattr(thing, name)

    def op_item(self, thing, key):
        return thing[key]

    def op_list(self, thing):
        return list(thing)

    def op_backward(self, number: int, gradient):
        import torch

        result, leaves = self.graphs[number]
        for leaf in leaves:
            leaf.grad = None
        torch.autograd.backward(result, gradient, retain_graph=True)
        return [leaf.grad for leaf in leaves]

    def _load(self, order: bytes, blobs):
        import torch

        specs, content = self.wire.pickle.loads(order)
        self.tensors = []
        for spec, gradient, learns, is_parameter in specs:
            tensor = self.wire.as_tensor(spec, blobs)
            tensor = torch.nn.Parameter(tensor, requires_grad=learns) if is_parameter else tensor
            if learns and not is_parameter:
                tensor.requires_grad_()
            if gradient:
                tensor.grad = self.wire.as_tensor(gradient, blobs)
            self.tensors.append(tensor)
        return self.wire.Unpickler(io.BytesIO(content), self._find).load()

    def _find(self, key):
        kind, number = key
        if kind == "tensor":
            return self.tensors[number]
        return self.objects[number] if kind == "object" else Local(self, number)

    def _refer(self, thing):
        self.objects.append(thing)
        doc = getattr(thing, "__doc__", None) if callable(thing) and hasattr(thing, "__name__") else None
        told = {"object": len(self.objects) - 1, "calls": callable(thing), "type": type(thing).__name__}
        return told | {"doc": doc if isinstance(doc, str) else None}

    def _reply(self, kind: str, value, tensors=(), handed=(), printed=None, **more):
        leaves = [t for t in tensors if t.requires_grad]

        def graph(tensor):
            self.graphs.append((tensor, leaves))
            return len(self.graphs) - 1

        writer = self.wire.Writer(self._refer, graph)
        told = {"kind": kind, "value": writer.value(value), "tensors": []} | more
        writer.graph = lambda tensor: None
        for i, tensor in enumerate(tensors):  # what the answer changed in place
            state = writer.value(tensor.detach()), writer.value(tensor.grad) if tensor.is_leaf else None
            told["tensors"].append([i, *state, tensor.requires_grad])
        aside = self.wire.Writer(lambda thing: {"same": True})
        aside.blobs, aside._tensor = writer.blobs, lambda thing: {"same": True}
        with contextlib.suppress(Exception):
            told["handed"] = aside.value(list(handed))
        told["printed"] = printed.getvalue() if printed else ""
        self.wire.send(self.connection, told, writer.blobs)


def _text(error: BaseException) -> str:
    try:
        return str(error)[:500]
    except BaseException:
        return ""


class Local:
    """A function of the check, called from here."""

    def __init__(self, answer: Answer, number: int):
        self._answer, self._number = answer, number

    def __call__(self, *args, **kwargs):
        self._answer._reply("call", [list(args), kwargs], number=self._number)
        op, rest = self._answer.serve(until="return")
        if op == "raise":
            raise getattr(builtins, rest[0], RuntimeError)(rest[1])
        return rest[0]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
