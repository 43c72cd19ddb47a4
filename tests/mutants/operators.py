"""Mutations of a module: what a slip of a programmer would change, one place at a time."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq, ast.LtE, ast.GtE),
    ast.NotEq: (ast.Eq, ast.Lt, ast.Gt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_PAIRS = (
    ("min", "max"), ("any", "all"), ("argmin", "argmax"), ("minimum", "maximum"), ("floor", "ceil"),
    ("nlargest", "nsmallest"),
)  # fmt: skip
OPPOSITES = {**dict(_PAIRS), **{second: first for first, second in _PAIRS}}
TYPES = ("int", "float", "str", "bytes", "bool")
UNMUTATED = {"annotation", "returns", "decorator_list", "format_spec"}  # fields of a node


@dataclass(frozen=True)
class Mutation:
    """One change of a parsed module.

    Attributes:
        line: Number of the source line.
        statement: Lines of the statement, of a compound one those of its head.
        is_in_function: Whether it runs when a function is called, and not when the module is imported.
        before: Source of the changed expression or statement.
        after: What it becomes.
        parent: The node that holds it.
        field: The parent's field.
        index: Place in the field, where that is a list; else None.
        node: What is put there.
    """

    line: int
    statement: range
    is_in_function: bool
    before: str
    after: str
    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST

    def apply(self) -> None:
        """Changes the parsed module."""
        if self.index is None:
            setattr(self.parent, self.field, self.node)
        else:
            getattr(self.parent, self.field)[self.index] = self.node


def mutations(tree: ast.Module) -> Iterator[Mutation]:
    """Yields the mutations of a module, in order of the source.

    Left out are annotations, decorators, texts, `strict` of zip, and the bodies of TFX components, which only a
    pipeline runs.

    Args:
        tree: The parsed module.
    """
    yield from _below(tree, range(0), is_in_function=False)


def _below(parent: ast.AST, statement: range, *, is_in_function: bool) -> Iterator[Mutation]:
    for field, value in ast.iter_fields(parent):
        if field in UNMUTATED or (isinstance(parent, ast.keyword) and parent.arg == "strict"):
            continue
        inside = is_in_function or (isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef) and field == "body")
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _is_component(node):
                continue
            lines = _head(node) if isinstance(node, ast.stmt) else statement
            for changed in _changes(node, is_condition=_is_condition(parent, field)):
                ast.copy_location(changed, node)
                ast.fix_missing_locations(changed)
                texts = _source(node), _source(changed)
                line = getattr(node, "lineno", lines.start)
                yield Mutation(line, lines, inside, *texts, parent, field, index, changed)
            yield from _below(node, lines, is_in_function=inside)


def _head(node: ast.stmt) -> range:
    """Returns the lines of a statement, of a compound one those before its body."""
    body = getattr(node, "body", None)
    return range(node.lineno, max(body[0].lineno, node.lineno + 1) if body else (node.end_lineno or node.lineno) + 1)


def _source(node: ast.AST) -> str:
    """Returns the first line of a node's source, of a loop its head."""
    return ast.unparse(node).splitlines()[0]


def _is_component(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(isinstance(one, ast.Name) and one.id == "component" for one in decorators)


def _is_condition(parent: ast.AST, field: str) -> bool:
    """Whether a field holds an expression of which only the truth counts."""
    return field == "test" or field == "ifs" or (isinstance(parent, ast.BoolOp) and field == "values")


def _changes(node: ast.AST, *, is_condition: bool) -> Iterator[ast.AST]:
    """Yields what may stand in the place of a node."""
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BinOp(op=op) if type(op) in ARITHMETIC and not _is_union(node):
            yield ast.BinOp(node.left, ARITHMETIC[type(op)](), node.right)
        case ast.AugAssign(op=op) if type(op) in ARITHMETIC:
            yield ast.AugAssign(node.target, ARITHMETIC[type(op)](), node.value)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(node.value + 1)
        case ast.Name(id=name) if name in OPPOSITES:
            yield ast.Name(OPPOSITES[name], node.ctx)
        case ast.Attribute(attr=name) if name in OPPOSITES:
            yield ast.Attribute(node.value, OPPOSITES[name], node.ctx)
        case ast.Expr(value=ast.Call()) | ast.Raise():
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.For():
            yield ast.For(node.target, ast.Tuple([], ast.Load()), node.body, node.orelse)
    if is_condition and not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
        yield ast.UnaryOp(ast.Not(), node)


def _comparisons(node: ast.Compare) -> Iterator[ast.AST]:
    for index, op in enumerate(node.ops):
        is_text = isinstance(node.comparators[index], ast.Constant) and isinstance(node.comparators[index].value, str)
        for other in COMPARISONS[type(op)][: 1 if is_text else None]:
            yield ast.Compare(node.left, [*node.ops[:index], other(), *node.ops[index + 1 :]], node.comparators)


def _is_union(node: ast.BinOp) -> bool:
    """Whether a BinOp is a union of types, such as `int | None`."""
    names = [one.id for one in (node.left, node.right) if isinstance(one, ast.Name)]
    are_types = [name in TYPES or (name[:1].isupper() and not name.isupper()) for name in names]
    return isinstance(node.op, ast.BitOr) and any(are_types)
