"""Commands -> group commit -> replies; leases and dispatch; timers and sweep; hot jobs."""
