"""Makes online_retail.parquet again from the published table; run: python build.py ORIGINAL [OUT].

ORIGINAL is the UCI table as Parquet or CSV, its columns as text under their published names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

HERE = Path(__file__).parent


def build(original: Path, out: Path = HERE / "online_retail.parquet") -> None:
    """Type, rename and sort the columns of the original; every row and every column stays."""
    text = (
        pl.read_parquet(original)
        if original.suffix == ".parquet"
        else pl.read_csv(original, infer_schema=False)
    )
    table = text.select(
        invoice=pl.col("InvoiceNo"),
        item=pl.col("StockCode"),
        name=pl.col("Description"),
        quantity=pl.col("Quantity").cast(pl.Int32),
        time=pl.col("InvoiceDate").str.to_datetime("%m/%d/%Y %H:%M", time_unit="ms"),
        price=pl.col("UnitPrice").cast(pl.Float64),
        user=pl.col("CustomerID"),
        country=pl.col("Country"),
    )
    table = table.sort("time", "invoice", maintain_order=True)
    table.write_parquet(
        out, compression="zstd", compression_level=22, statistics=False, row_group_size=1 << 20
    )


if __name__ == "__main__":
    build(*map(Path, sys.argv[1:3]))
