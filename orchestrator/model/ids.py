"""Names for the strings that identify things, so that one is not passed for another."""

from typing import NewType

BatchName = NewType("BatchName", str)
BatchId = NewType("BatchId", str)
JobKey = NewType("JobKey", str)
Mark = NewType("Mark", str)
RunId = NewType("RunId", str)
DatasetId = NewType("DatasetId", str)
StoreId = NewType("StoreId", str)
