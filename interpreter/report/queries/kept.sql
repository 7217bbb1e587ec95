-- What each metric is at the checkpoint that was kept (else at the end), a value a trial. $1 entry, $2 profile.
SELECT c.arm, c.seed, c.stage, coalesce(c.as_split, f.split) AS split, f.metric,
       coalesce(f.kept, f.last) AS value, CASE WHEN f.kept IS NULL THEN f.last_epoch ELSE s.best_epoch END AS epoch
FROM chains c JOIN finals f USING (stage_id) JOIN stages s USING (stage_id)
WHERE c.entry = $1 AND c.profile = $2 ORDER BY c.arm_position, c.seed, c.position, split, f.metric
