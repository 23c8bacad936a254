"""Free text by allowed words: a text whose words are all on the list stays, any other is replaced and told to the user alone.

The built-in list holds words of anatomy, of imaging and the terms that the standard defines. Of words that are family names as well
("White", "Sharp", "Ray") only those are on it that the field cannot do without ("Head", "Hand").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

_TOKEN = re.compile(r"[^\W_]+")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_DIGITS = 3
_SINGLE = 2

_ANATOMY = """
abdomen abdominal adrenal airway airways anal anatomic anatomical anatomy ankle anterior anus aorta aortic apex appendix arm
arms artery arteries atrium atria axial axilla back basal bladder blood body bone bones bowel brachial brain brainstem breast
breasts bronchi bronchial bronchus buttock calcaneus canal cardiac carina carotid cartilage cauda caudal caval cavity cecum
celiac cerebellum cerebral cerebrum cervical cervix cheek chest chiasm cochlea coeliac colon column commissure coronal
coronary cord cornea cortex costa cranial cranium descending diaphragm distal duct duodenum ear elbow epiglottis esophagus
ethmoid extremity eye eyes face facial femoral femur femurs fibula finger foot forearm frontal gallbladder ganglion gland
glands glottis gluteal groin hand hard head heart hepatic hilar hilum hip hippocampus hips humerus hypopharynx hypophysis
hypothalamus ileum iliac inferior inguinal inner intestine intestines jaw jejunum joint kidney kidneys knee lacrimal large
larynx laryngeal lateral left leg legs lens lenses lip lips liver lobe lower lumbar lung lungs lymph mandible mandibular
marrow mastoid maxilla maxillary meatus medial mediastinum mediastinal medulla meninges mesorectum midbrain middle mouth
muscle musculoskeletal nasal nasopharynx neck nerve nerves node nodal nodes nose nostril occipital oesophagus optic oral orbit
orbits oropharynx ovary palate pancreas parathyroid parietal parotid parotids patella pelvic pelvis penile penis pericardium
perineum peripheral peritoneum pharyngeal pharynx pituitary placenta pleura pleural plexus pons portal posterior prostate
proximal pubic pulmonary radius rectal rectum renal retina retroperitoneum rib ribs right sacral sacrum sagittal saliva
salivary scalp scapula sclera scrotum semicircular seminal septum shoulder sigmoid sinus skeleton skin skull small soft
sphenoid spinal spine spleen sternum stomach subcutaneous subclavian submandibular superior supraclavicular sup inf ant post
lat med prox dist sig temporal tendon testicle testis thalamus thigh thoracic thorax throat thymus thyroid tibia tissue toe
tongue tonsil tooth teeth trachea transverse trunk tumor tumour tumors tumours ulna upper ureter urethra urinary uterus uvula
vagina valve vein veins vena ventricle ventricles vertebra vertebrae vertebral vesicle vesicles vessel vessels vestibular
vitreous vocal volume vulva wall whole wholebody wrist cspine tspine lspine headneck tmj sinuses chestabdomen abdomenpelvis
chestabdpelvis abdpelvis thoraxabdomen
"""
_DRAWN = """
gtv gtvp gtvn gtvt gtvs gtvpet gtvct gtvmr ctv ctvp ctvn ptv ptvp ptvn itv igtv icv btv mtv roi voi oar oars prv avoid
avoidance bolus boost bulk contour contours couch couchsurface couchinterior cropped dose edema edematous oedema envelope exp
expanded expansion external fat fiducial fused fusion high low hypoxia interior internal intern isodose lesion lesions
lymphnode lymphnodes margin marker markers mass met metastasis metastases metastatic minus mask masks muscle necrosis necrotic
neoplasm node normal nodule nodules opti organ outline pathologic pathological planning plus primary primarius plan pre post
recurrence recurrent reference region residual resection resected ring risk seg segment segmentation segmentations segmented
shell structure structures sub surface surgical suv target tgt total tumourbed tumorbed bed union uninvolved involved volume
vol edit final initial auto automatic manual semiautomatic semiauto draft copy new old baseline followup prior skin subtract
sum merged label labels background foreground object enhancing nonenhancing enhancement core lymphoma carcinoma sarcoma glioma
glioblastoma meningioma adenoma melanoma cyst abscess thrombus calcification hemorrhage haemorrhage gtvprimary gtvnodal tv tvp
tvn hot cold spot control phantom water test
"""
_IMAGING = """
dd quadrature surface multicoil volume array birdcage software inc gmbh lab company corporation ltd version release syngo xa
xb vb vd ve va manufacturer dark light blue orange purple red yellow cyan magenta second first third orbital meatal line
example phantom qiicr slicereditor editor ultra speed bowtie large fil filter st mi dual hispeed min views comp daily wo w
morphologically altered frame position stack cta ct pet mr mri mra pt spect nm ac nac attenuation corrected correction
uncorrected nonattenuation fdg fdgpet wb half full low dose ldct hrct cect ncct cbct contrast noncontrast without with native
enhanced unenhanced pre post arterial venous portal delayed late early phase phases dynamic static gated ungated respiratory
cardiac breath breathhold hold inspiration expiration free breathing cor sag ax axial coronal sagittal oblique tra trans
transversal transverse transaxial recon reconstruction reconstructed reformat mpr mip average avg minip thin thick slice
slices lung mediastinum bone brain soft tissue kernel smooth standard detail edge std helical spiral sequence sequential
topogram scout scan localizer localiser locator survey series study exam protocol image images emission transmission
acquisition acquired original derived primary secondary processed resampled registered registration coregistered rigid
deformable diffusion dwi adc trace flair stir tirm tse fse ffe gre spgr fspgr mprage mp rage vibe thrive lava dixon haste
ssfse trufi fiesta bffe balanced epi ep se ge ir tof swi swan pdw pd fatsat fs sat saturation suppressed suppression spair
spir inphase outphase opposed water fat only in out perfusion dce dsc gadolinium gd map maps parametric t1w t2w space cube
vista blade propeller radial spoiled gradient echo spin turbo fast inversion recovery iterative osem psf ossm oseem lor ramla
bp fbp ctac mrac tofpet ultrahd truex bpblob blob vpfx vpfxs vpfxc qclear wbac gauss gaussian hann hanning butterworth ramp
allpass all pass none unknown other axis measured segmented converted decay random randoms scatter deadtime normalization
normalisation prompts singles sinogram convolution subtraction model based monte carlo head supine prone decubitus feet
fluorodeoxyglucose fluoro deoxyglucose glucose fluorothymidine flt fmiso fluoromisonidazole choline psma dotatate dotatoc fet
fdopa fluoride sodium ga f c n fluorine gallium carbon copper zirconium iodine technetium isotope tracer solution nacl saline
intravenous oral iv po omnipaque iopamidol iohexol ultravist visipaque isovue iomeron imeron iodinated ioversol optiray
gadovist magnevist dotarem multihance prohance gadavist siemens healthineers healthcare medical systems system philips toshiba
canon hitachi fujifilm uih united imaging shimadzu elekta varian cti cps mediso esaote biograph somatom definition force drive
sensation emotion discovery lightspeed optima revolution brightspeed gemini ingenuity vereos brilliance iqon big bore aquilion
one prime avanto aera skyra verio prisma trio espree symphony magnetom mmr signa explorer ingenia achieva intera panorama
allegro ecat exact hr mct vision horizon truepoint truev advance prospeed explore elite advantage sigmacare pinnacle eclipse
raystation monaco velocity mim slicer plastimatch highdicom dcmqi pydicom radpipe nnunet totalsegmentator itk snap
"""
_TERMS = """
gy relative roentgen none pixel dvh tissue heterogeneity roi_override water elliptical field_map sms smr bore local b1rms
smr_b1rms smr_borelocal level reverse measured static rectilinear radial spiral single full partial pils sense grappa smash
other iec_whole_body iec_partial_body iec_head iec_local static_field gradient rf iec_normal iec_first_level iec_second_level
sar whole_body partial_body local_sar normal_mode k-space slice_and_phase phase frequency center_out linear reverse_linear
centric segmented unknown extremity multicoil body_coil frequency_encoding direct original derived primary secondary axial
localizer mixed reformatted resampled mpr mip min max mean max_ip volume filtered average quantity std_mean value map m ffe se
ir pr projection magnitude real imaginary complex diffusion perfusion tof spectroscopy ct pt mr rtstruct seg reg rtdose rtplan
ot monochrome1 monochrome2 rgb identity inverse palette color linear_exact sigmoid yes no hfs hfp ffs ffp hfdr hfdl ffdr ffdl
l r a p h f u b lps ras hu us od mghml bqml cnts gml cm2ml pcnt umlg mlg propcnts propcpm umlming mlming mlminml cps suv bw
lbm bsa lbmjames lbmjanma ibw emission transmission dynamic gated whole body image planar norm dtim attn radl scat decy mot
pmot clnd rand ranbow dcal start admin nonuniform geom singles dlyd proc cylindrical ring multiple stationary step shoot
continuous rectangular round hexagonal closed_planar open_planar point open_nonplanar closedplanar_xor binary fractional
labelmap probability occupancy automatic semiautomatic manual undefined gtv ctv ptv organ external avoidance support fixation
isocenter marker registration treated_volume irrad_volume bolus brachy_channel brachy_accessory brachy_src_app
brachy_chnl_shld contrast_agent cavity control dose_region dose_measurement treated rigid rigid_scale affine approved
unapproved rejected sequenced constant_angle free sk mtc ss trss sp mp osp pfg cg ppg fc pfpi pfpp sat sp_sat ft ew ee cd 2d
3d row col cw cc head physical effective error plan multi_plan fraction beam brachy fraction_session beam_session
brachy_session control_point record directional bmatrix isotropic t1 t2 t2_star proton_density flow_encoded fluid_attenuated
tagging temporal_position temporal multi_echo fmri stir susceptibility velocity fat sampled distorted iso_2022 product
conventional echo_planar spin_echo segmented_k_space standard iso_10918_1 iso_14495_1 iso_15444_1 iso_15444_2 adc parallel fan
cone fov volumetric true warped multiplication decay user model recon acq acquisition mosaic nd dis2d dis3d fil fm4 vpfx csa
csamanipulated csaparallel csaimage spi ct_som5 ct_som7 som5 water_ip water_op motn cln slsens ran add time manu sing helical
mode research iec fda mhra riesz om sn qa b0 b1000 t1w t2w t2star f18 ga68 c11 n13 o15 cu64 zr89 i124 tc99m fl18 18f 68ga 11c
prescan legacy_converted converted monochrome
"""


@cache
def built_in() -> frozenset[str]:
    """The list that radpipe brings along, in lower case."""
    listed = f"{_ANATOMY} {_DRAWN} {_IMAGING} {_TERMS}".lower().split()
    return frozenset(part for word in listed for part in _TOKEN.findall(word) if not part.isdigit())


@cache
def _terms() -> frozenset[str]:
    """Terms of the standard that are allowed as they are, digits and all."""
    return frozenset(_TERMS.lower().split())


@dataclass(frozen=True)
class Words:
    """Which texts may stay. extra : of the user, single words and whole texts, in lower case."""

    extra: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, lines: Iterable[str]) -> Words:
        """From the lines of a list: one word or one whole text each; # begins a remark."""
        cleaned = (" ".join(line.partition("#")[0].split()).casefold() for line in lines)
        return cls(frozenset(line for line in cleaned if line))

    def allows(self, text: str) -> bool:
        """Whether every word of a text is on the list. Numbers pass beside words, with DIGITS digits in all at most (GTV70, T1):
        more could be a date or an id. The empty text passes."""
        plain = " ".join(text.split())
        if not plain or plain.casefold() in self.extra or plain.casefold() in _terms():
            return True
        if not plain.isprintable():
            return False
        if plain.isdecimal() and len(plain) < _DIGITS:
            return True
        words, digits, single = 0, 0, 0
        for token in _TOKEN.findall(plain):
            if self._word(token) and len(token) > 1:  # T1w, GTVp
                words += 1
                continue
            for piece in _PIECE.findall(token):  # GTV70
                if piece.isdigit():
                    digits += len(piece)
                    continue
                words += 1
                single += len(piece) == 1
                if not (len(piece) == 1 or self._word(piece)):
                    return False
        return words > 0 and digits <= _DIGITS and single <= _SINGLE and (single < words or words == 1)

    def _word(self, token: str) -> bool:
        folded = token.casefold()
        if folded in built_in() or folded in self.extra:
            return True
        parts = _CAMEL.split(token)  # BrainStem, LeftLung
        return len(parts) > 1 and all(
            len(part) > 1 and (part.casefold() in built_in() or part.casefold() in self.extra) for part in parts
        )
