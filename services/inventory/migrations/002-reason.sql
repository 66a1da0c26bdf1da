-- Why a reservation was rejected: whoever asks again is told the same.
ALTER TABLE reservation ADD COLUMN reason text NOT NULL DEFAULT '';
