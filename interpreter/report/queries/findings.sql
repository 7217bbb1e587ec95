-- What the runs of an entry said about themselves, worst first. $1 entry, $2 profile.
SELECT f.severity, f.code, f.text, c.stage, list(DISTINCT c.arm ORDER BY c.arm) AS arms, list(DISTINCT c.seed ORDER BY c.seed) AS seeds,
       min(f.epoch) AS epoch
FROM chains c JOIN findings f USING (stage_id) WHERE c.entry = $1 AND c.profile = $2
GROUP BY f.severity, f.code, f.text, c.stage
ORDER BY CASE f.severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, f.code, f.text, c.stage
