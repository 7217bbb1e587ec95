-- Where the curves of many arms end: the mean over seeds of the last value. $1 to $9 as in seeds.sql.
WITH wanted AS (
  SELECT unnest($3::VARCHAR[]) AS arm, unnest($4::VARCHAR[]) AS stage, unnest($5::VARCHAR[]) AS split, unnest($6::VARCHAR[]) AS metric,
         unnest($7::VARCHAR[]) AS asked, unnest($8::INTEGER[]) AS shift)
SELECT w.asked, w.arm, avg(f.last) AS value
FROM wanted w JOIN chains c ON c.arm = w.arm AND c.stage = w.stage
JOIN finals f ON f.stage_id = c.stage_id AND (c.as_split IS NOT NULL OR f.split = w.split) AND f.metric = w.metric
WHERE c.entry = $1 AND c.profile = $2 AND ($9::INTEGER[] IS NULL OR list_contains($9::INTEGER[], c.seed)) AND isfinite(f.last)
GROUP BY ALL ORDER BY w.asked, value, w.arm
