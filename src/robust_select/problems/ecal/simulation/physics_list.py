"""The electromagnetic processes of the generator: models of Geant4 that need no data files.

Called by the worker. Knows nothing of the detector. It is not the standard list: no Rayleigh scattering,
fluorescence or photonuclear processes; bremsstrahlung by the relativistic model at all energies (the standard one
takes tables below 1 GeV), whose own lower limit of 1 MeV stays; pair production without a recoiling nucleus.
"""

import ctypes
from typing import Any

from robust_select.problems.ecal.simulation.native import Native

_ELECTROMAGNETIC = ctypes.c_int(2)  # of the enumeration G4ProcessType
_NO_PARTICLE = ctypes.c_void_p(0)  # a model that is not told a particle learns it when it is initialised
_SET_DISCRETE = "_ZN12G4VEmProcess10SetEmModelEP10G4VEmModeli"
_SET_CONTINUOUS = "_ZN20G4VEnergyLossProcess10SetEmModelEP10G4VEmModeli"
_SET_SCATTERING = "_ZN21G4VMultipleScattering10SetEmModelEP11G4VMscModeli"


def physics_list(g: Any, cut_mm: float) -> Any:
    """Make the physics list.

    Args:
        g: the module geant4_pybind.
        cut_mm: production cut, mm.
    """
    native = Native(g.__file__)

    class DataFree(g.G4VUserPhysicsList):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.SetDefaultCutValue(cut_mm * g.mm)
            self.SetVerboseLevel(0)

        def ConstructParticle(self) -> None:
            g.G4Gamma.GammaDefinition()
            g.G4Electron.ElectronDefinition()
            g.G4Positron.PositronDefinition()
            g.G4Proton.ProtonDefinition()  # the table of cuts wants it

        def ConstructProcess(self) -> None:
            helper = native.pointer("_ZN19G4PhysicsListHelper20GetPhysicsListHelperEv")
            native.call("_ZN19G4PhysicsListHelper17AddTransportationEv", helper)
            parameters = g.G4EmParameters.Instance()
            parameters.SetDefaults()
            parameters.SetFluo(False)
            parameters.SetAuger(False)
            parameters.SetPixe(False)
            parameters.SetMaxEnergy(1 * g.TeV)
            parameters.SetVerbose(0)
            _register_photon(native, helper)
            for particle in ("_ZN10G4Electron8ElectronEv", "_ZN10G4Positron8PositronEv"):
                _register_charged(native, helper, native.pointer(particle))
            _register_annihilation(native, helper)

        def SetCuts(self) -> None:
            self.SetCutsWithDefault()

    return DataFree()


def _register_photon(native: Native, helper: ctypes.c_void_p) -> None:
    photon = native.pointer("_ZN7G4Gamma5GammaEv")
    photoelectric = native.new(
        "_ZN21G4PhotoElectricEffectC1ERK8G4String13G4ProcessType", native.text("phot"), _ELECTROMAGNETIC
    )
    model = native.new("_ZN19G4PEEffectFluoModelC1ERK8G4String", native.text("PhotoElectric"))
    native.call(_SET_DISCRETE, photoelectric, model, ctypes.c_int(0))
    _register(native, helper, photoelectric, photon)

    compton = native.new(
        "_ZN19G4ComptonScatteringC1ERK8G4String13G4ProcessType", native.text("compt"), _ELECTROMAGNETIC
    )
    model = native.new(
        "_ZN21G4KleinNishinaComptonC1EPK20G4ParticleDefinitionRK8G4String", _NO_PARTICLE, native.text("KleinNishina")
    )
    native.call(_SET_DISCRETE, compton, model, ctypes.c_int(0))
    _register(native, helper, compton, photon)

    conversion = native.new(
        "_ZN17G4GammaConversionC1ERK8G4String13G4ProcessType", native.text("conv"), _ELECTROMAGNETIC
    )
    model = native.new(  # not the model in five dimensions, which makes a recoiling ion
        "_ZN24G4PairProductionRelModelC1EPK20G4ParticleDefinitionRK8G4String",
        _NO_PARTICLE,
        native.text("BetheHeitlerLPM"),
    )
    native.call(_SET_DISCRETE, conversion, model, ctypes.c_int(0))
    _register(native, helper, conversion, photon)


def _register_charged(native: Native, helper: ctypes.c_void_p, particle: ctypes.c_void_p) -> None:
    """Register what electrons and positrons both do."""
    scattering = native.new("_ZN21G4eMultipleScatteringC1ERK8G4String", native.text("msc"))
    model = native.new("_ZN15G4UrbanMscModelC1ERK8G4String", native.text("UrbanMsc"))
    native.call(_SET_SCATTERING, scattering, model, ctypes.c_int(0))
    _register(native, helper, scattering, particle)

    ionisation = native.new("_ZN13G4eIonisationC1ERK8G4String", native.text("eIoni"))
    model = native.new(
        "_ZN19G4MollerBhabhaModelC1EPK20G4ParticleDefinitionRK8G4String", _NO_PARTICLE, native.text("MollerBhabha")
    )
    native.call(_SET_CONTINUOUS, ionisation, model, ctypes.c_int(0))
    _register(native, helper, ionisation, particle)

    bremsstrahlung = native.new("_ZN17G4eBremsstrahlungC1ERK8G4String", native.text("eBrem"))
    for below_or_above_1_gev in (0, 1):
        model = native.new(
            "_ZN25G4eBremsstrahlungRelModelC1EPK20G4ParticleDefinitionRK8G4String",
            _NO_PARTICLE,
            native.text("eBremRel"),
        )
        native.call(_SET_CONTINUOUS, bremsstrahlung, model, ctypes.c_int(below_or_above_1_gev))
    _register(native, helper, bremsstrahlung, particle)


def _register_annihilation(native: Native, helper: ctypes.c_void_p) -> None:
    annihilation = native.new("_ZN19G4eplusAnnihilationC1ERK8G4String", native.text("annihil"))
    model = native.new(
        "_ZN19G4eeToTwoGammaModelC1EPK20G4ParticleDefinitionRK8G4String", _NO_PARTICLE, native.text("eplus2gg")
    )
    native.call(_SET_DISCRETE, annihilation, model, ctypes.c_int(0))
    _register(native, helper, annihilation, native.pointer("_ZN10G4Positron8PositronEv"))


def _register(native: Native, helper: ctypes.c_void_p, process: ctypes.c_void_p, particle: ctypes.c_void_p) -> None:
    symbol = "_ZN19G4PhysicsListHelper15RegisterProcessEP10G4VProcessP20G4ParticleDefinition"
    if not native.call(symbol, helper, process, particle, gives=ctypes.c_bool):
        raise RuntimeError("Geant4 did not register a process")
