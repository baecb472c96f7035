"""Names of people from many places, each with the ASCII form that its mail address uses.

A word is `native=ascii`, or just `native` when that is ASCII already; `_` stands for a space.
"""

import random
import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Word:
    """A name as written by its owner, and in lower-case ASCII."""

    native: str
    latin: str


@dataclass(frozen=True, slots=True)
class Culture:
    """Given and family names that go together."""

    given: tuple[Word, ...]
    family: tuple[Word, ...]


def _words(text: str) -> tuple[Word, ...]:
    words: list[Word] = []
    for token in text.split():
        native, _, latin = token.partition("=")
        words.append(Word(native.replace("_", " "), re.sub(r"[^a-z-]", "", (latin or native).lower())))
    return tuple(words)


def _culture(given: str, family: str) -> Culture:
    return Culture(_words(given), _words(family))


CULTURES: Final[dict[str, Culture]] = {
    "english": _culture(
        """Olivia James Amelia Oliver Grace Harry Emily Jack Charlotte George Sophie Thomas Alice William Ruth Edward
        Mary-Jane Daniel Hannah Samuel Eleanor Henry Zoë=Zoe Chloë=Chloe Joseph Abigail Benjamin Naomi""",
        """Smith Jones Taylor Brown Wilson Evans Walker Wright Robinson Thompson White Hughes Edwards Green Hall Wood
        Harris Clarke Patterson Ashworth Baker-Finch Smith-Jones Whitfield Holloway Pemberton Radcliffe Lockwood""",
    ),
    "irish": _culture(
        """Aoife Conor Saoirse Cian Niamh Oisín=Oisin Ciarán=Ciaran Róisín=Roisin Sinéad=Sinead Fionn Eoin Deirdre
        Pádraig=Padraig Gráinne=Grainne Seán=Sean Máire=Maire""",
        """O'Brien O'Connor O'Sullivan Murphy Byrne Walsh O'Neill Doyle McCarthy Ó_Súilleabháin=osuilleabhain Gallagher
        Ní_Dhomhnaill=nidhomhnaill O'Reilly Fitzgerald Nolan D'Arcy""",
    ),
    "german": _culture(
        """Anna Lukas Jürgen=Juergen Sabine Björn=Bjoern Käthe=Kaethe Hans-Peter Ursula Günther=Guenther Lena Max
        Anneliese Matthias Heike Jörg=Joerg Sören=Soeren Uwe Brigitte""",
        """Müller=Mueller Schmidt Schröder=Schroeder Weiß=Weiss Krüger=Krueger Groß=Gross Fischer Weber Bäcker=Baecker
        Müller-Lüdenscheidt=mueller-luedenscheidt von_der_Heide=vonderheide Köhler=Koehler Jäger=Jaeger Vogel Lang""",
    ),
    "french": _culture(
        """Chloé=Chloe François=Francois Amélie=Amelie Jean-Luc Hélène=Helene Benoît=Benoit Zoé=Zoe Jérôme=Jerome
        Léa=Lea Anaïs=Anais Théo=Theo Noël=Noel Marie-Claire Étienne=Etienne Gaëlle=Gaelle Rémi=Remi""",
        """Dubois Lefèvre=Lefevre Moreau D'Aubigné=daubigne Garçon=garcon L'Hôpital=lhopital Bélanger=Belanger Girard
        Besançon=Besancon Le_Goff=legoff Saint-Pierre Fournier Mercier Côté=Cote Guérin=Guerin""",
    ),
    "spanish": _culture(
        """José=Jose María=Maria Íñigo=Inigo Lucía=Lucia Ángel=Angel Begoña=Begona Andrés=Andres Sofía=Sofia
        Joaquín=Joaquin Inés=Ines Raúl=Raul Nuria Héctor=Hector Ximena Jesús=Jesus Rocío=Rocio""",
        """García=Garcia Núñez=Nunez Muñoz=Munoz Peña=Pena García_Márquez=garcia-marquez López-Ibáñez=lopez-ibanez
        Hernández=Hernandez Ortega Domínguez=Dominguez de_la_Cruz=delacruz Castaño=Castano Ruiz Vázquez=Vazquez""",
    ),
    "portuguese": _culture(
        """João=Joao Inês=Ines Conceição=Conceicao Thiago Beatriz Antônio=Antonio Letícia=Leticia Gonçalo=Goncalo
        Luís=Luis Fernanda Sebastião=Sebastiao Vitória=Vitoria""",
        """da_Silva=dasilva Gonçalves=Goncalves dos_Santos=dossantos Magalhães=Magalhaes Araújo=Araujo Sá=Sa Pereira
        Conceição=Conceicao Brandão=Brandao Figueirêdo=Figueiredo Lima Ribeiro""",
    ),
    "nordic": _culture(
        """Åsa=Asa Øyvind=Oyvind Signe Þórunn=Thorunn Bjørn=Bjorn Mikko Håkan=Hakan Sigrún=Sigrun
        Jørgen=Jorgen Päivi=Paivi Astrid Lars Ingrid Väinö=Vaino Mette Søren=Soren""",
        """Åkesson=Akesson Ødegård=Odegard Jónsdóttir=Jonsdottir Hämäläinen=Hamalainen Sørensen=Sorensen Nyström=Nystrom
        Guðmundsson=Gudmundsson Virtanen Bäckström=Backstrom Lindqvist Hansen Bjerregård=Bjerregard""",
    ),
    "polish": _culture(
        """Łukasz=Lukasz Małgorzata=Malgorzata Zbigniew Agnieszka Wojciech Świętosława=Swietoslawa Paweł=Pawel
        Żaneta=Zaneta Grażyna=Grazyna Krzysztof Joanna Michał=Michal""",
        """Wiśniewska=Wisniewska Żółtowski=Zoltowski Dąbrowski=Dabrowski Łuczak=Luczak Ćwikła=Cwikla Zieliński=Zielinski
        Szczęsny=Szczesny Nowak-Jeziorańska=nowak-jezioranska Wójcik=Wojcik Kowalska Górski=Gorski Śliwa=Sliwa""",
    ),
    "turkish": _culture(
        """İbrahim=Ibrahim Ayşe=Ayse Gülşah=Gulsah Çağrı=Cagri Ömer=Omer Işıl=Isil Şebnem=Sebnem Oğuz=Oguz Zeynep
        Mehmet Ümit=Umit İrem=Irem""",
        """Yılmaz=Yilmaz Şahin=Sahin Öztürk=Ozturk Çelik=Celik Güneş=Gunes Işık=Isik Doğan=Dogan Kaya Aydın=Aydin
        Koç=Koc Erdoğan=Erdogan İnan=Inan""",
    ),
    "arabic": _culture(
        """محمد=Mohammed فاطمة=Fatima أحمد=Ahmed ليلى=Layla خالد=Khalid نور=Noor يوسف=Yusuf مريم=Maryam عمر=Omar
        سارة=Sara         حسن=Hassan زينب=Zaynab""",
        """الحسيني=al-Husseini عبد_الرحمن=Abdulrahman القحطاني=al-Qahtani حداد=Haddad المصري=al-Masri بن_علي=BenAli
        الشمري=al-Shammari خوري=Khoury منصور=Mansour النجار=al-Najjar""",
    ),
    "hebrew": _culture(
        "נועה=Noa דוד=David תמר=Tamar יוסף=Yosef מיכל=Michal אבי=Avi שירה=Shira איתן=Eitan רות=Ruth גיל=Gil",
        "כהן=Cohen לוי=Levi מזרחי=Mizrahi בן-דוד=ben-david פרידמן=Friedman אברהם=Avraham שפירא=Shapira גולן=Golan",
    ),
    "japanese": _culture(
        """さくら=Sakura 健太=Kenta 陽子=Yoko 大輔=Daisuke 美咲=Misaki 翔太=Shota
        恵子=Keiko 拓也=Takuya 結衣=Yui 誠=Makoto""",
        """佐藤=Sato 鈴木=Suzuki 高橋=Takahashi 田中=Tanaka 渡辺=Watanabe 伊藤=Ito
        山本=Yamamoto 中村=Nakamura 小林=Kobayashi""",
    ),
    "indian": _culture(
        """Aarav Priya Rohan Ananya Vikram Kavya Arjun Deepika Sanjay Meera Lakshmi Rahul Nikhil Pooja Harish Divya
        Siddharth Aishwarya""",
        """Sharma Patel Iyer Krishnamurthy Reddy Nair Banerjee Gupta Venkataraman Singh Chatterjee Joshi Rao Menon
        Subramanian Kulkarni""",
    ),
    "vietnamese": _culture(
        "Thảo=Thao Đức=Duc Hương=Huong Quốc=Quoc Ngọc=Ngoc Tuấn=Tuan Phương=Phuong Khánh=Khanh Dũng=Dung Ánh=Anh",
        "Nguyễn=Nguyen Trần=Tran Lê=Le Phạm=Pham Đặng=Dang Võ=Vo Bùi=Bui Hoàng=Hoang Ngô=Ngo Đỗ=Do",
    ),
    "nigerian": _culture(
        """Chinedu Ngozi Olúwáṣeun=Oluwaseun Adaeze Ẹniọlá=Eniola Emeka Folákẹ́=Folake Ifeoma Tunde Chiamaka Ṣadé=Sade
        Uche""",
        """Okafor Adéyẹmí=Adeyemi Nwosu Ọláolúwa=Olaoluwa Eze Balogun Okonkwo-Bello Abíọ́dún=Abiodun Chukwu Adebayo""",
    ),
}
CULTURE_NAMES: Final = tuple(CULTURES)


def draw_name(rng: random.Random, home: str) -> tuple[Word, Word]:
    """A given and a family name: two in three from the culture `home`, else from any; one in 25 mixes two cultures."""
    culture = CULTURES[home if rng.random() < 0.66 else rng.choice(CULTURE_NAMES)]
    other = CULTURES[rng.choice(CULTURE_NAMES)] if rng.random() < 0.04 else culture
    return rng.choice(culture.given), rng.choice(other.family)
