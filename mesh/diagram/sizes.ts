/** Sizes that the drawing and the layout share, in pixels. */
export const sizes = {
  titleFont: 16,
  lineFont: 12.5,
  labelFont: 12,
  zoneFont: 13,
  titleHeight: 24,
  lineHeight: 17,
  labelHeight: 16,
  storeHeight: 30,
  padding: 14,
  zonePadding: 20,
  zoneTitle: 28,
  /** What an edge takes of the side of a card. */
  port: 22,
} as const
