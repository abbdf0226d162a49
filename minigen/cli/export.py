"""`minigen export`: a trained model as one weights file and a script that needs NumPy alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Option(help="Folder for the two files.")] = Path("exported"),
) -> None:
    """Write OUT/model.safetensors and OUT/serve.py, which recommends from it without minigen."""
    from json import dumps

    import numpy as np
    from safetensors.numpy import save

    from minigen.cli.output import console
    from minigen.errors import InputError
    from minigen.files import write_text, writing
    from minigen.ladder import load_run
    from minigen.recommender import serve

    model, data = load_run(run)
    if model.id not in serve.SCORES:
        raise InputError(f"{model.id} cannot be exported; there are {', '.join(serve.SCORES)}")
    about = {
        "model": model.id,
        "settings": dumps(model.settings),
        "items": dumps(data.items, ensure_ascii=False),
        "names": dumps(data.item_names, ensure_ascii=False),
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in model.ops.get(model.params).items()}
    with writing(out / "model.safetensors") as beside:
        beside.write_bytes(save(arrays, metadata=about))
    write_text(out / "serve.py", Path(serve.__file__).read_text("utf-8"))
    next_step = shlex.join(["python", str(out / "serve.py"), data.items[0]])
    console.print(
        f"{out} holds model.safetensors and serve.py, which needs NumPy alone.  Next: {next_step}",
        soft_wrap=True,
    )
