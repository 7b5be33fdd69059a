//! The test harness of sngd and its suites over both engines
