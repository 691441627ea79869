"""How good forecasts without a model are, on the windows of an eval split: `python examples/air_quality/baselines.py FOLDER_OF_EXAMPLES`.

"It stays as it is" (persistence) follows from the windows; "as at the same hour a week before" is looked up in the table, and judged
where that hour was measured.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

DATA = Path(__file__).parents[2] / "data" / "air_quality" / "beijing_pm25.csv"
HOUR, WEEK = 3_600, 7 * 24
SPEC = {
    "history/pm2.5": tf.io.FixedLenFeature([72], tf.float32),
    "horizon/pm2.5": tf.io.FixedLenFeature([24], tf.float32),
    "window/origin": tf.io.FixedLenFeature([], tf.int64),
}

shards = [str(shard) for shard in sorted(Path(sys.argv[1]).glob("Split-eval/*.gz"))]
records = list(tf.data.TFRecordDataset(shards, "GZIP").as_numpy_iterator())
windows = {name: values.numpy() for name, values in tf.io.parse_example(records, SPEC).items()}
truth = windows["horizon/pm2.5"]

table = pd.read_csv(DATA)
hours = pd.to_datetime(table[["year", "month", "day", "hour"]]).astype("int64") // 10**9
measured = pd.Series(table["pm2.5"].to_numpy(), index=hours)
week_before = windows["window/origin"][:, None] + HOUR * (np.arange(1, 25) - WEEK)
forecasts = {
    "it stays as it is": np.repeat(windows["history/pm2.5"][:, -1:], 24, axis=1),
    "as a week before": measured.reindex(week_before.ravel()).to_numpy().reshape(truth.shape),
}
for name, forecast in forecasts.items():
    sys.stdout.write(f"{name:<18} RMSE {np.sqrt(np.nanmean((forecast - truth) ** 2)):.1f}\n")
