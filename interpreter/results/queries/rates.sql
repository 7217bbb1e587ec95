-- Learning rates and phases by epoch. $1 entry, $2 profile. Columns: arm, seed, stage, epoch (from 1), step, phase, group, rate.
SELECT t.arm, t.seed, t.stage, t.epoch, t.step, t.phase, t."group", t.rate
FROM schedule_trace t WHERE t.entry = $1 AND t.profile = $2 ORDER BY ALL
