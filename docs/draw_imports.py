"""Draws which folders import which, and prints their numbers: `.venv/bin/python docs/draw_imports.py OUT.svg`.

It reads the packages in the current folder, so that it can draw those of an earlier commit.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import grimp
import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

ROOTS = ("pipeline", "components", "models", "data")
COLORS = {"pipeline": "#cfe3f5", "components": "#d8efd3", "models": "#f6e3b8", "data": "#eadcf3"}
BOX_WIDTH, BOX_HEIGHT = 1.7, 0.46


def folder_of(module: str) -> str:
    """Returns the dotted name of the folder that a module lies in; a package is its own folder."""
    return module if Path(*module.split(".")).is_dir() else module.rpartition(".")[0]


def folder_imports(graph: grimp.ImportGraph) -> Counter[tuple[str, str]]:
    """Returns (importing folder, imported folder) -> number of imports, those within functions included."""
    counts: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            pair = folder_of(module), folder_of(other)
            counts[pair] += pair[0] != pair[1]
    return +counts


def import_cycles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Returns the import cycles: the strongly connected components of more than one node (Tarjan, 1972)."""
    number, low, stack, cycles = {}, {}, [], []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in number:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == number[node]:
            component = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            if len(component) > 1:
                cycles.append(component)

    for node in sorted(edges):
        if node not in number:
            visit(node)
    return cycles


def levels_of(imports: Counter[tuple[str, str]]) -> dict[str, int]:
    """Returns folder -> level: 0 if it imports nothing, else one above the highest folder that it imports.

    An import that closes a cycle does not count.
    """
    edges = defaultdict(set)
    for importer, imported in imports:
        edges[importer].add(imported)
    levels: dict[str, int] = {}

    def level(node: str, path: tuple[str, ...]) -> int:
        if node not in levels:
            lower = [level(other, (*path, node)) for other in sorted(edges[node]) if other not in (*path, node)]
            levels[node] = 1 + max(lower, default=-1)
        return levels[node]

    for node in sorted({folder for pair in imports for folder in pair}):
        level(node, ())
    return levels


def is_implied(imports: Counter[tuple[str, str]], levels: dict[str, int], importer: str, imported: str) -> bool:
    """Whether an arrow down follows from a longer path down, so that the picture omits it."""
    if levels[importer] <= levels[imported]:
        return False
    between = {
        other for start, other in imports if start == importer and levels[imported] < levels[other] < levels[importer]
    }
    return any(has_path_down(imports, levels, other, imported) for other in between)


def has_path_down(imports: Counter[tuple[str, str]], levels: dict[str, int], start: str, end: str) -> bool:
    """Whether arrows lead down from one folder to another."""
    return (start, end) in imports or any(
        has_path_down(imports, levels, other, end)
        for importer, other in imports
        if importer == start and levels[other] < levels[start]
    )


def draw(imports: Counter[tuple[str, str]], sizes: Counter[str], path: Path) -> None:
    """Writes the picture: a box for each folder with its number of modules, arrows from importing to imported folders.

    An arrow that follows from others is left out; one that points upwards is red.
    """
    levels = levels_of(imports)
    rows = defaultdict(list)
    for folder in sorted(levels, key=lambda name: (ROOTS.index(name.split(".")[0]), name)):
        rows[levels[folder]].append(folder)
    width = max(map(len, rows.values())) * (BOX_WIDTH + 0.25)
    centers = {}
    for level, folders in rows.items():
        for index, folder in enumerate(folders):
            centers[folder] = ((index + 0.5) * width / len(folders), level)
    figure = Figure(figsize=(max(width * 0.72, 8), 0.95 * len(rows) + 0.3))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(-0.5, len(rows) - 0.4)
    axes.axis("off")
    _draw_arrows(axes, imports, levels, centers)
    for folder, (x, y) in centers.items():
        corner = (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2)
        style = "round,pad=0.02,rounding_size=0.06"
        color = COLORS[folder.split(".")[0]]
        axes.add_patch(FancyBboxPatch(corner, BOX_WIDTH, BOX_HEIGHT, boxstyle=style, facecolor=color, lw=0, zorder=3))
        name = folder.replace("models.tasks.", "tasks.\n").replace("models.serving.", "serving.")
        label = f"{name}\n{sizes[folder]} module{'s' * (sizes[folder] != 1)}"
        axes.text(x, y, label, ha="center", va="center", fontsize=7, zorder=4)
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text stays text
        figure.savefig(path, metadata={"Date": None})


def _draw_arrows(axes, imports, levels, centers) -> None:
    """Draws an arrow for each import between folders that does not follow from others."""
    for (importer, imported), count in imports.items():
        if is_implied(imports, levels, importer, imported):
            continue
        (x0, y0), (x1, y1) = centers[importer], centers[imported]
        upward = y1 >= y0
        arrow = {
            "arrowstyle": "-|>",
            "color": "#c0392b" if upward else "#777",
            "lw": min(0.4 + count / 12, 3),
            "alpha": 0.9 if upward else 0.45,
            "connectionstyle": "arc3,rad=0.08",
        }
        axes.annotate("", (x1, y1 + BOX_HEIGHT / 2), (x0, y0 - BOX_HEIGHT / 2), arrowprops=arrow)


def main(out: Path) -> None:
    """Draws the picture, and prints numbers of modules, imports, cycles and lines."""
    sys.path.insert(0, "")
    graph = grimp.build_graph(*ROOTS)
    modules = [module for module in graph.modules if not Path(*module.split(".")).is_dir()]
    sizes = Counter(folder_of(module) for module in modules)
    imports = folder_imports(graph)
    cycles = import_cycles({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})
    draw(imports, sizes, out)
    largest, count = sizes.most_common(1)[0]
    print(f"{len(modules)} modules in {len(sizes)} folders, most in {largest}: {count}")
    levels = len(set(levels_of(imports).values()))
    print(f"{sum(imports.values())} imports between folders, {len(imports)} arrows, {levels} levels")
    print(f"import cycles of modules: {len(cycles)}", *[" ".join(sorted(cycle)) for cycle in cycles], sep="\n  ")
    lines = {path: len(path.read_text().splitlines()) for root in ROOTS for path in Path(root).rglob("*.py")}
    print(f"files over 400 lines: {sum(count > 400 for count in lines.values())}; lines: {sum(lines.values()):,}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
