import { describe, expect, it } from 'vitest'
import { type DeviceName, placeOnDevice } from '../../src/embeddings/device.ts'

const works = async (name: DeviceName) => name
const only =
  (...good: DeviceName[]) =>
  async (name: DeviceName) => {
    if (!good.includes(name))
      throw new Error(`/src/provider.cc:136 Init(): x was false. ${name} has no driver\nmore`)
    return name
  }

describe('the device', () => {
  it('is cuda if it loads, then webgpu, then cpu, and says why', async () => {
    const place = (load: (name: DeviceName) => Promise<DeviceName>) => placeOnDevice('auto', load, () => true)
    expect((await place(works)).device).toEqual({ name: 'cuda', why: 'its provider is there' })
    expect((await place(only('webgpu', 'cpu'))).device).toEqual({
      name: 'webgpu',
      why: 'no cuda (cuda has no driver)',
    })
    expect((await place(only('cpu'))).device).toEqual({
      name: 'cpu',
      why: 'no cuda (cuda has no driver); no webgpu (webgpu has no driver)',
    })
  })

  it('tries nothing but the cpu on a machine without a GPU', async () => {
    const tried: DeviceName[] = []
    const placed = await placeOnDevice(
      'auto',
      async (name) => tried.push(name),
      () => false,
    )
    expect(placed.device).toEqual({ name: 'cpu', why: 'no GPU was found' })
    expect(tried).toEqual(['cpu'])
  })

  it('is the configured one or an error, never another', async () => {
    expect((await placeOnDevice('webgpu', works)).device).toEqual({ name: 'webgpu', why: 'as configured' })
    await expect(placeOnDevice('cuda', only('cpu'))).rejects.toMatchObject({
      code: 'dependency',
      message: 'expected to load the model on cuda, and it failed: cuda has no driver',
      hint: 'use device: auto or cpu',
    })
  })
})
