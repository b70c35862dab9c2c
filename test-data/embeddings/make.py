"""Makes flickr.parquet as another program would (python3 make.py, pyarrow 25.0.1): five captions for each of four
pictures, f64 representations of width 4 that an oracle made, snappy, one more column."""
import pyarrow
import pyarrow.parquet

rows = [(p, c) for p in range(4) for c in range(5)]
vector = [[float(k == p) for k in range(4)] for p in range(4)]
table = pyarrow.table({
    "source": ["another program"] * len(rows),
    "picture": ["%d.jpg" % p for p, c in rows],
    "caption": ["caption %d of\tpicture %d, \"quoted\"" % (c, p) for p, c in rows],
    "picture_embedding": pyarrow.array([vector[p] for p, c in rows], pyarrow.list_(pyarrow.float64())),
    "caption_embedding": pyarrow.array([vector[p] for p, c in rows], pyarrow.list_(pyarrow.float64())),
})
pyarrow.parquet.write_table(table, "flickr.parquet", compression="snappy")
