"""StatisticsGen (`component`), how it reads and counts (`reader`, `engine`, `value_counts`), and its files (`files`)."""
