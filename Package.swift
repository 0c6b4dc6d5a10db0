// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]
let library = strict + [.enableUpcomingFeature("InternalImportsByDefault")]
let c: [CSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
    name: "leafcutter",
    products: [
        .library(name: "Leafcutter", targets: ["Leafcutter"]),
        .executable(name: "leafcutter", targets: ["LeafCLI"]),
    ],
    targets: [
        // C: what Swift cannot see, kernels, data, system libraries.
        .target(name: "CSystem", cSettings: c),
        .target(name: "CLeafKernels", cSettings: c),
        .target(name: "CLeafBLAS", cSettings: c, linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        .target(name: "CTokenizerData", exclude: ["data"], cSettings: c),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // What is in a file.
        .target(name: "LeafFormat", dependencies: ["CSystem", "CLZ4", "CXXHash"], swiftSettings: library),
        // Bytes and blocks under a budget.
        .target(name: "LeafStream", dependencies: ["LeafFormat", "CSystem"], swiftSettings: library),
        // Rows in, logits out.
        .target(
            name: "CPMAnt", dependencies: ["LeafFormat", "LeafStream", "CLeafKernels", "CLeafBLAS"],
            swiftSettings: library),
        // Text to ids and back.
        .target(name: "LeafTokenizer", dependencies: ["LeafFormat", "CTokenizerData"], swiftSettings: library),
        // What makes model files has in common.
        .target(name: "LeafConversion", dependencies: ["LeafFormat"], swiftSettings: library),
        // Checkpoints to .leaf, and back.
        .target(
            name: "LeafImport",
            dependencies: ["LeafFormat", "LeafTokenizer", "LeafConversion", "CZlib", "CLeafKernels"],
            swiftSettings: library),
        // Models of any shape, without a checkpoint.
        .target(
            name: "LeafSynthesis", dependencies: ["LeafFormat", "LeafTokenizer", "LeafConversion"],
            swiftSettings: library),
        // What to compute next.
        .target(
            name: "LeafGeneration", dependencies: ["LeafFormat", "CPMAnt", "LeafTokenizer", "CLeafKernels"],
            swiftSettings: library),
        // Published tasks: items to requests, outputs to metrics.
        .target(
            name: "LeafEvaluation", dependencies: ["LeafFormat", "LeafGeneration", "LeafTokenizer"],
            swiftSettings: library),
        // The facade that people embed.
        .target(
            name: "Leafcutter",
            dependencies: [
                "LeafFormat", "LeafStream", "CPMAnt", "LeafTokenizer", "LeafImport", "LeafSynthesis", "LeafGeneration",
                "LeafEvaluation",
            ],
            swiftSettings: library),
        .executableTarget(
            name: "embedding", dependencies: ["Leafcutter"], path: "Examples/Embedding", swiftSettings: strict),
        .target(name: "GoldenSupport", path: "Tests/GoldenSupport", swiftSettings: strict),
        .testTarget(
            name: "LeafcutterTests",
            dependencies: [
                "Leafcutter", "CPMAnt", "LeafFormat", "LeafGeneration", "LeafImport", "LeafStream", "GoldenSupport",
                "CAllocationCounter",
            ],
            swiftSettings: strict),
        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter", cSettings: c),
        .testTarget(name: "BudgetTests", dependencies: ["GoldenSupport"], swiftSettings: strict),
        .testTarget(
            name: "CPMAntTests", dependencies: ["CPMAnt", "LeafFormat", "GoldenSupport"], swiftSettings: strict),
        .target(
            name: "CKernelChecks", dependencies: ["CLeafKernels"], path: "Tests/CKernelChecks",
            exclude: ["arm", "bochs"],
            cSettings: c),
        .testTarget(name: "CLeafKernelsTests", dependencies: ["CLeafKernels", "CKernelChecks"], swiftSettings: strict),
        // What is typed, and what a shell completes.
        .target(name: "LeafArguments", dependencies: ["LeafFormat"], swiftSettings: library),
        .executableTarget(
            name: "LeafCLI", dependencies: ["Leafcutter", "LeafArguments", "CSystem"], swiftSettings: strict),
        .testTarget(name: "LeafCLITests", dependencies: ["LeafCLI", "GoldenSupport"], swiftSettings: strict),
        .testTarget(
            name: "LeafArgumentsTests", dependencies: ["LeafArguments", "LeafFormat"], swiftSettings: strict),
        .testTarget(
            name: "LeafGenerationTests", dependencies: ["LeafGeneration", "LeafTokenizer", "LeafFormat"],
            swiftSettings: strict),
        .testTarget(
            name: "LeafEvaluationTests",
            dependencies: ["LeafEvaluation", "LeafFormat", "LeafGeneration", "LeafTokenizer", "GoldenSupport"],
            swiftSettings: strict),
        .testTarget(name: "LeafFormatTests", dependencies: ["LeafFormat", "GoldenSupport"], swiftSettings: strict),
        .testTarget(
            name: "LeafImportTests",
            dependencies: ["LeafConversion", "LeafFormat", "LeafImport", "LeafTokenizer", "GoldenSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "LeafSynthesisTests",
            dependencies: [
                "Leafcutter", "LeafSynthesis", "CPMAnt", "LeafFormat", "LeafGeneration", "LeafImport", "LeafStream",
                "LeafTokenizer", "GoldenSupport",
            ],
            swiftSettings: strict),
        .testTarget(name: "LeafTokenizerTests", dependencies: ["LeafTokenizer", "LeafFormat"], swiftSettings: strict),
        .testTarget(name: "LeafStreamTests", dependencies: ["LeafStream", "LeafFormat"], swiftSettings: strict),
    ]
)
