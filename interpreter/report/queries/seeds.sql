-- Single seeds' curves, not smoothed. $1 entry, $2 profile, $3 to $8 what is wanted (lists in step): arm, stage, split, metric,
-- metric as asked for, and what is added to the epoch; $9 seeds (NULL: all), $10 first and $11 last x.
WITH wanted AS (
  SELECT unnest($3::VARCHAR[]) AS arm, unnest($4::VARCHAR[]) AS stage, unnest($5::VARCHAR[]) AS split, unnest($6::VARCHAR[]) AS metric,
         unnest($7::VARCHAR[]) AS asked, unnest($8::INTEGER[]) AS shift)
SELECT w.asked, w.arm, w.stage, c.seed, m.epoch + w.shift AS x, m.value
FROM wanted w JOIN chains c ON c.arm = w.arm AND c.stage = w.stage
JOIN metrics m ON m.stage_id = c.stage_id AND (c.as_split IS NOT NULL OR m.split = w.split) AND m.metric = w.metric
WHERE c.entry = $1 AND c.profile = $2 AND ($9::INTEGER[] IS NULL OR list_contains($9::INTEGER[], c.seed))
  AND m.epoch + w.shift BETWEEN $10 AND $11
ORDER BY w.asked, c.arm_position, c.seed, c.position, x
