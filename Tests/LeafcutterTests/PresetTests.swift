import CPMAntShape
import LeafFormat
import Leafcutter
import Testing

@Suite("Presets") struct PresetTests {
    /// Parameters of the published models, as the reference counts them.
    @Test(arguments: [
        (ModelPreset.cpmAnt10B, 9_391_624_192), (.cpmAnt7B, 6_640_050_176), (.cpmAnt3B, 3_151_026_176),
        (.cpmAnt1B, 1_149_865_984), (.cpmAnt300M, 430_385_152), (.cpmAntPlus10B, 9_620_422_656),
    ])
    func parametersAreThoseOfThePublishedModel(preset: ModelPreset, parameters: Int) {
        #expect(ModelShape(preset.configuration, weights: .int8).parameterCount == parameters)
    }

    @Test func tenBillionParametersFitHalfAGibibyte() throws {
        let file = try ModelFile(preset: .cpmAnt10B)
        let options = ModelOptions(
            memory: .mebibytes(512), threads: 2, instructionSet: .scalar, capacity: .init(context: 256))
        let plan = try Model.plan(file, options)
        #expect(plan.total <= 512 << 20)
        #expect(plan.streamedBytesPerSweep > 8 << 30)
    }
}
