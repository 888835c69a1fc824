"""PTX, the assembly language of NVIDIA's GPUs, from the source of the kernels.

Numba compiles a kernel for arrays of one lane as for any other type, into LLVM IR. Nothing in it depends on a CPU, so
the LLVM that comes with numba (llvmlite) also translates it to PTX, which the driver of a GPU compiles for its
processor. No operation is fused or approximated: PTX names the rounding of each (`.rn`, to the nearest), and compilers
of PTX do not contract operations that do.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Any

import llvmlite
import numba
from llvmlite import binding, ir
from numba import types

from ttfsrun.errors import RunFailed, UserError
from ttfsrun.files import write_atomic
from ttfsrun.neuron.kernels.compiled import cache_folder, name_of

TRIPLE = "nvptx64-nvidia-cuda"
TARGETS = (70, 80, 90)  # compute capabilities, times ten; a later GPU runs the code of an earlier one
GLOBAL = 1  # LLVM's number of the address space
END = "\n// end\n"  # of a whole file

Kinds = tuple[types.Type, ...]


def ptx(kernel: Any, kinds: Kinds, target: int) -> str:
    """Return PTX for one of TARGETS, from the cache on disk if it is there.

    kernel: a `compiled` function (low, high, *arguments) that treats items low to high, each alone.
    kinds: the numba types of the arguments.

    The only entry has the kernel's name and the parameters (number of items, *arguments), flattened as by numba, each
    in a word of 64 bits. Its thread i treats item i. Raises RunFailed if this LLVM cannot emit PTX.
    """
    folder = Path(cache_folder(Path(kernel.py_func.__code__.co_filename)))
    versions = numba.__version__, llvmlite.__version__
    key = "\n".join([*versions, str(target), name_of(kernel.py_func), *map(str, kinds)])
    digest = hashlib.sha256(key.encode()).hexdigest()[:24]
    file = folder / f"{kernel.py_func.__name__}.{digest}.ptx"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = file.read_text()
        if text.endswith(END):
            return text
    text = _compile(kernel, (types.intp, types.intp, *kinds), target) + END
    with contextlib.suppress(UserError, OSError):  # the next process compiles again
        write_atomic(file, text.encode())
    return text


def _compile(kernel: Any, signature: Kinds, target: int) -> str:
    machine = _machine(target)
    kernel.compile(signature)
    result = kernel.overloads[signature]
    module = result.library._get_module_for_linking().clone()
    module.triple, module.data_layout = TRIPLE, str(machine.target_data)
    name = kernel.py_func.__name__
    call = kernel.targetctx.call_conv.get_function_type(result.signature.return_type, signature)
    entry = _entry(name, result.fndesc.llvm_func_name, call)
    module.link_in(binding.parse_assembly(str(entry)))
    _optimize(module, name, machine)
    return str(machine.emit_assembly(module))


def _machine(target: int) -> Any:
    """Return LLVM's machine of a target."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    try:
        nvptx = binding.Target.from_triple(TRIPLE)
    except RuntimeError as error:
        version = f"llvmlite {llvmlite.__version__}"
        raise RunFailed(f"{version} cannot compile for NVIDIA GPUs ({error}); install that of PyPI") from error
    return nvptx.create_target_machine(cpu=f"sm_{target}", opt=3)


#: Functions of LLVM that are instructions of a GPU, or that need none; no elementary function, which would be inexact.
INSIDE = re.compile(r"llvm\.(?!a?(sin|cos|tan)|exp|log|pow)")
#: Functions of the C library that kernels may call, as numba does for `np.sqrt`.
ROOTS = {"sqrt": ir.DoubleType(), "sqrtf": ir.FloatType()}


def _entry(name: str, kernel: str, call: ir.FunctionType) -> ir.Module:
    """Return a module with the entry that calls the kernel's function for the item of its thread.

    call: the function's type; its parameters are by numba's convention (result, exception, low, high, *arguments).
    """
    module, index, number = ir.Module(), ir.IntType(64), ir.IntType(32)
    entry = ir.Function(module, ir.FunctionType(ir.VoidType(), [index] * len(call.args[3:])), name)
    entry.calling_convention = "ptx_kernel"
    builder = ir.IRBuilder(entry.append_basic_block())

    def register(special: str) -> ir.Value:
        function = ir.Function(module, ir.FunctionType(number, []), f"llvm.nvvm.read.ptx.sreg.{special}.x")
        return builder.zext(builder.call(function, []), index)

    item = builder.add(builder.mul(register("ctaid"), register("ntid")), register("tid"))
    result, exception = (builder.bitcast(builder.alloca(index), pointer) for pointer in call.args[:2])
    items, *words = entry.args
    arguments = [_from_word(builder, word, kind) for word, kind in zip(words, call.args[4:], strict=True)]
    with builder.if_then(builder.icmp_signed("<", item, items)):
        function = ir.Function(module, call, kernel)
        builder.call(function, [result, exception, item, builder.add(item, index(1)), *arguments])
    builder.ret_void()
    for root, kind in ROOTS.items():
        function = ir.Function(module, ir.FunctionType(kind, [kind]), root)
        builder = ir.IRBuilder(function.append_basic_block())
        builder.ret(builder.call(module.declare_intrinsic("llvm.sqrt", [kind]), function.args))
    return module


def _from_word(builder: ir.IRBuilder, word: ir.Value, kind: ir.Type) -> ir.Value:
    """Return a parameter of a given type from its word of 64 bits. All pointers are to global memory."""
    if isinstance(kind, ir.PointerType):
        number = ir.IntType(8)
        address = builder.inttoptr(word, ir.PointerType(number, GLOBAL))
        return builder.bitcast(builder.addrspacecast(address, ir.PointerType(number)), kind)
    if isinstance(kind, ir.DoubleType):
        return builder.bitcast(word, kind)
    if isinstance(kind, ir.FloatType):
        return builder.bitcast(builder.trunc(word, ir.IntType(32)), kind)
    return word if kind == word.type else builder.trunc(word, kind)


def _optimize(module: Any, entry: str, machine: Any) -> None:
    """Make one function of the entry and all that it calls, without loops for vectors."""
    options = binding.create_pipeline_tuning_options(3)
    options.loop_vectorization = options.slp_vectorization = False
    passes = binding.create_pass_builder(machine, options)
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != entry:
            value.linkage = "internal"
    unused = binding.create_new_module_pass_manager()
    unused.add_global_dead_code_eliminate_pass()  # what CPython needs
    unused.run(module, passes)
    for function in module.functions:
        if not function.is_declaration and function.name != entry:
            function.add_function_attribute("alwaysinline")
    passes.getModulePassManager().run(module, passes)
    outside = [each.name for each in module.functions if each.is_declaration and not INSIDE.match(each.name)]
    if outside:
        raise NotImplementedError(f"{entry} calls {', '.join(outside)}, which a GPU does not have")
