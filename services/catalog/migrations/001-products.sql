-- What the shop sells. The revision counts the changes of a product, from 1.
CREATE TABLE product (
  product_id text PRIMARY KEY,
  name text NOT NULL,
  description text NOT NULL,
  currency text NOT NULL,
  minor_units bigint NOT NULL CHECK (minor_units > 0),
  revision bigint NOT NULL DEFAULT 1
);

INSERT INTO product (product_id, name, description, currency, minor_units)
SELECT 'p-' || n, name, description, 'EUR', 499 + 250 * n
FROM (VALUES
  (1, 'Pencil case', 'Canvas, with a zip and two pockets.'),
  (2, 'Notebook', 'A5, 160 dotted pages that lie flat.'),
  (3, 'Fountain pen', 'Steel nib, medium; takes standard cartridges.'),
  (4, 'Ink', '50 ml, blue-black, waterproof when dry.'),
  (5, 'Desk mat', 'Wool felt, 80 by 30 cm.'),
  (6, 'Sketchbook', 'A4, 120 g paper, spiral bound.'),
  (7, 'Watercolours', 'Twelve half pans in a tin, with a brush.'),
  (8, 'Desk lamp', 'Aluminium, dimmable, 4000 K.'),
  (9, 'Calligraphy set', 'A limited edition of ten.')
) AS seed (n, name, description);
