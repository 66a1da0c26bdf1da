import { invalidArgument, notFound } from '#kit/errors.ts'

/** What a parcel costs, in euro cents, and how many working days it takes. */
export type Tariff = { readonly minorUnits: number; readonly daysMin: number; readonly daysMax: number }

type Zone = { readonly base: number; readonly perKilogram: number; readonly daysMin: number; readonly daysMax: number }

const zones = {
  home: { base: 390, perKilogram: 60, daysMin: 1, daysMax: 2 },
  near: { base: 890, perKilogram: 150, daysMin: 2, daysMax: 5 },
  far: { base: 1_990, perKilogram: 700, daysMin: 5, daysMax: 12 },
} as const satisfies Record<string, Zone>

const zoneOf: Readonly<Record<string, keyof typeof zones>> = {
  ...Object.fromEntries(
    ['AT', 'BE', 'CH', 'CZ', 'DK', 'ES', 'FR', 'IT', 'LU', 'NL', 'PL', 'SE'].map((c) => [c, 'near']),
  ),
  ...Object.fromEntries(['AU', 'BR', 'CA', 'GB', 'IN', 'JP', 'US'].map((c) => [c, 'far'])),
  DE: 'home',
}

const gramsMax = 31_500

/**
 * Prices a parcel: a base for the zone, and each kilogram begun.
 * @throws ServiceError `invalid-argument` for a weight that no parcel has, `not-found` for a country without a tariff
 */
export function priceParcel(country: string, weightGrams: number): Tariff {
  if (weightGrams < 1 || weightGrams > gramsMax) {
    const message = `A parcel weighs 1 to ${gramsMax} g.`
    throw invalidArgument(message, { field: 'weight_grams', code: 'OUT_OF_RANGE', message })
  }
  const zone = Object.hasOwn(zoneOf, country) ? zoneOf[country] : undefined
  if (!zone) throw notFound(`We do not send parcels to ${country.slice(0, 8) || 'nowhere'}.`)
  const { base, perKilogram, daysMin, daysMax } = zones[zone]
  return { minorUnits: base + perKilogram * Math.ceil(weightGrams / 1_000), daysMin, daysMax }
}
