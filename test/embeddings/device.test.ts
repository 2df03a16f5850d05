import { describe, expect, it } from 'vitest'
import { type DeviceName, placeOnDevice } from '../../src/embeddings/device.ts'

/** Devices that take so many milliseconds a run on a clock of their own; those not named fail as drivers do. */
function machine(speeds: Partial<Record<DeviceName, number>>) {
  const disposed: DeviceName[] = []
  let clock = 0
  const load = async (name: DeviceName) => {
    const ms = speeds[name]
    if (ms === undefined) throw new Error(`/src/a.cc:136 Init(): x was false. ${name} has no driver\nmore`)
    return {
      loaded: name,
      run: async () => {
        if (Number.isNaN(ms)) throw new Error('it cannot run this')
        clock += ms
      },
      dispose: async () => disposed.push(name),
    }
  }
  const place = async (wanted: 'auto' | DeviceName = 'auto', hasGpu = true) =>
    (await placeOnDevice(wanted, load, { hasGpu: () => hasGpu, now: () => clock })).device
  return { place, disposed }
}

describe('the device', () => {
  it('is the GPU where it is faster than the cpu', async () => {
    const { place, disposed } = machine({ cuda: 3, webgpu: 5, cpu: 20 })
    expect(await place()).toEqual({ name: 'cuda', why: '3 ms for a trial, cpu 20 ms' })
    expect(disposed).toEqual(['cpu'])
  })

  it('is the cpu where that is faster, as for small passes of a small model', async () => {
    const { place, disposed } = machine({ webgpu: 50, cpu: 20 })
    expect(await place()).toEqual({
      name: 'cpu',
      why: '20 ms for a trial, webgpu 50 ms; no cuda (cuda has no driver)',
    })
    expect(disposed).toEqual(['webgpu'])
  })

  it('is the cpu where no GPU loads or runs the model, with the reasons', async () => {
    const { place, disposed } = machine({ webgpu: Number.NaN, cpu: 20 })
    expect(await place()).toEqual({
      name: 'cpu',
      why: 'no cuda (cuda has no driver); no webgpu (it cannot run this)',
    })
    expect(disposed).toEqual(['webgpu'])
  })

  it('is the cpu on a machine without a GPU', async () => {
    expect(await machine({ cuda: 1, cpu: 20 }).place('auto', false)).toEqual({
      name: 'cpu',
      why: 'no GPU was found',
    })
  })

  it('is the configured one or an error, never another', async () => {
    const { place } = machine({ webgpu: 50, cpu: 20 })
    expect(await place('webgpu')).toEqual({ name: 'webgpu', why: 'as configured' })
    await expect(place('cuda')).rejects.toMatchObject({
      code: 'dependency',
      message: 'the model could not be loaded and run on cuda: cuda has no driver',
      hint: 'use device: auto or cpu',
    })
  })
})
