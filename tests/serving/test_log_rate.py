"""Repeated lines are left out of the log, and counted."""

import logging

from graft.serving.log_rate import RepeatFilter


def test_lines_from_one_place_are_left_out_and_counted(caplog):
    logger = logging.getLogger("test_log_rate")
    limit = RepeatFilter(lines=2, period_s=1000)
    logger.addFilter(limit)
    try:
        with caplog.at_level(logging.INFO):
            for number in range(5):
                logger.info("bad request %d", number)
            logger.info("another place")
            limit._period_s = 0
            logger.info("another place, too")
            for _ in range(1):
                logger.info("never seen")
            again(logger, limit)
    finally:
        logger.removeFilter(limit)
    assert [record.getMessage() for record in caplog.records] == [
        *("bad request 0", "bad request 1", "another place", "another place, too", "never seen"),
        *("line", "line (2 more lines like this one were left out)"),
    ]


def again(logger, limit):
    limit._lines, limit._period_s = 1, 1000
    for number in range(4):
        limit._period_s = 0 if number == 3 else 1000
        logger.info("line")
